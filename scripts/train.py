"""Train, test and record one experiment; with -m, a sweep of them."""

from typing import Any

from litlab.cli import command


@command("train")
def main(config: Any, result: Any) -> None:
    """litlab: pick data, model, optimizer and trainer; get a trained, tested and recorded experiment."""
    from litlab.verbs.train import train  # here: importing torch and lightning takes seconds

    train(config, result)


if __name__ == "__main__":
    main()
