"""Look at a data set before training."""

from typing import Any

from litlab.cli import command


@command("describe", show="print_description")
def main(config: Any, result: Any) -> None:
    """Look at a data set before training: types, sizes, balance, ranges, faults, leaks."""
    from litlab.verbs.describe import describe  # here: importing torch and lightning takes seconds

    describe(config, result)


if __name__ == "__main__":
    main()
