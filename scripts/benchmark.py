"""Seconds per epoch of litlab, of a raw PyTorch loop and of the tutorial's loop, interleaved in one process.

With --memory, the peak memory of trainings on large generated files instead: --memory csv,uint8, or all of them.
With --sweep, what whole sweeps over 16 rates cost by launcher.
"""

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from litlab.cli import run_script

# As in litlab.benchmark.speed and .sweep, which import torch: --help should not wait.
MODELS = ("usual", "tiny", "sine")
SWEEPS = ("digits", "tiny", "batch64", "batch256", "members")
LAUNCHERS = ("basic", "stacked", "joblib")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models",
        type=names_of(MODELS),
        default=MODELS,
        help="usual: 784-256-128-10, tiny: 784-20-10, sine: a cubic polynomial; all",
    )
    parser.add_argument(
        "--sweep",
        type=names_of(SWEEPS),
        help="sweeps instead: digits, tiny (784-20-10), batch64, batch256 (784-256-128-10 on Fashion-MNIST), and "
        "members, stacks of 1 to 64 digits jobs",
    )
    parser.add_argument(
        "--launchers", type=names_of(LAUNCHERS), default=LAUNCHERS, help="of the sweeps: basic, stacked, joblib; all"
    )
    parser.add_argument("--rounds", type=positive, help="measured epochs of each loop (5), or sweeps (1)")
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
    from litlab.benchmark.sweep import benchmark_sweeps, show_sweeps

    logging.captureWarnings(True)  # these runs have no train.log for them
    if asked.sweep:
        given = {"rounds": asked.rounds or 1, "threads": asked.threads, "overrides": asked.overrides}
        report = benchmark_sweeps(asked.sweep, asked.launchers, **given)
        file = save(report, asked.out)
        show_sweeps(report)
        print(file)
        return
    report = benchmark(
        asked.models,
        rounds=asked.rounds or 5,
        threads=asked.threads,
        compiled=asked.compile,
        overrides=asked.overrides,
    )
    file = save(report, asked.out)
    show(report)
    print(file)


def names_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Parse a comma-separated list of known names."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        if set(names) - set(known):
            raise argparse.ArgumentTypeError(f"{text}: must be of {','.join(known)}")
        return names

    return parse


def positive(text: str) -> int:
    """A positive integer."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number from 1")
    return int(text)


if __name__ == "__main__":
    run_script(main)
