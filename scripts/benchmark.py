"""Seconds per epoch of litlab, of a raw PyTorch loop and of the tutorial's loop, interleaved in one process.

With --memory, the peak memory of trainings on large generated files instead: --memory csv,uint8, or all of them.
"""

import argparse
import logging
from pathlib import Path

from litlab.cli import run_script

MODELS = ("usual", "tiny", "sine")  # as in litlab.benchmark.speed, which imports torch: --help should not wait


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models",
        type=models,
        default=MODELS,
        help="usual: 784-256-128-10, tiny: 784-20-10, sine: a cubic polynomial; all",
    )
    parser.add_argument("--rounds", type=positive, default=5, help="measured epochs of each loop (5)")
    parser.add_argument("--threads", type=positive, default=1, help="CPU threads (1)")
    parser.add_argument("--compile", action="store_true", help="also litlab with task.compile=true")
    parser.add_argument("--out", type=Path, help="the JSON file (logs/benchmark/DATE.json)")
    parser.add_argument("--memory", nargs="?", const="", help="csv, uint8, float64, int8, mapped, none")
    parser.add_argument("overrides", nargs="*", help="as for train.py: data=mnist scheduler=onecycle ...")
    asked = parser.parse_args()

    if asked.memory is not None:
        from litlab.benchmark.memory import measure_memory

        print("case | GiB of the file | peak GiB | of it anonymous")
        folder = Path("logs/benchmark/memory").absolute()
        for peak in measure_memory([each for each in asked.memory.split(",") if each], folder, Path.cwd()):
            print(f"{peak.case} | {peak.file:.2f} | {peak.resident:.2f} | {peak.anonymous:.2f}", flush=True)
        return

    from litlab.benchmark.speed import benchmark, save, show  # here, because the imports take seconds

    logging.captureWarnings(True)  # these runs have no train.log for them
    report = benchmark(
        asked.models,
        rounds=asked.rounds,
        threads=asked.threads,
        compiled=asked.compile,
        overrides=asked.overrides,
    )
    file = save(report, asked.out)
    show(report)
    print(file)


def models(text: str) -> list[str]:
    """A comma-separated list of names in MODELS."""
    names = text.split(",")
    if set(names) - set(MODELS):
        raise argparse.ArgumentTypeError(f"{text}: must be of {','.join(MODELS)}")
    return names


def positive(text: str) -> int:
    """A positive integer."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number from 1")
    return int(text)


if __name__ == "__main__":
    run_script(main)
