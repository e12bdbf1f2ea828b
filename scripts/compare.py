"""Compare finished runs: settings that differ, metrics, curves, and whether the difference may be chance.

python scripts/compare.py logs/train/runs/ONE logs/train/runs/OTHER    two runs, or more; last is the newest
python scripts/compare.py SWEEP OTHER_SWEEP                            the winners of two sweeps, with all their seeds
python scripts/compare.py SWEEP/*_lr=0.1* SWEEP/*_lr=0.2*              two settings of a sweep

Runs that differ in nothing but the seed are shown as their mean. The files go to logs/compare/DATE, or to=FOLDER.
"""

import argparse

from litlab.cli import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", metavar="DIR", nargs="+", help="runs and sweeps; to=FOLDER; paths.log_dir=FOLDER")
    asked = parser.parse_args()

    from litlab.sweeps.comparison import print_comparison  # here, so that --help does not wait for the imports
    from litlab.verbs.compare import compare

    print_comparison(*compare(asked.words))


if __name__ == "__main__":
    run_script(main)
