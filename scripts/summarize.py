"""The leaderboard of a sweep, or of several together: from what there is, also while jobs run or after a crash.

python scripts/summarize.py logs/train/multiruns/DATE_TIME            writes summary.html, .md, .csv and pictures
python scripts/summarize.py logs/train/multiruns/* --out logs/all     joins sweeps
"""

import argparse
from pathlib import Path

from litlab.cli import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folders", metavar="DIR", nargs="+", type=Path, help="a sweep, or any folder with runs below it"
    )
    parser.add_argument("--out", type=Path, help="where the summary goes (the folder, if it is one)")
    asked = parser.parse_args()
    if asked.out is None and len(asked.folders) > 1:
        parser.error("--out: several sweeps are joined; name the folder for their summary, such as --out logs/joined")

    from litlab.sweeps.report import print_leaderboard
    from litlab.sweeps.summary import summarize

    print_leaderboard(summarize(asked.folders, asked.out), asked.out or asked.folders[0])


if __name__ == "__main__":
    run_script(main)
