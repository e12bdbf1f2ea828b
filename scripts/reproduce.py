"""Run experiments over several seeds and write RESULTS.md: the reference beside what comes out here.

python scripts/reproduce.py                              all of conf/experiment
python scripts/reproduce.py mnist_mlp line --seeds 3     these, three seeds each; the rows of the others stay
"""

import argparse
import sys

from litlab.cli import tell


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", help="names in conf/experiment; none: all")
    parser.add_argument("--seeds", type=int, help="runs of each; else its reference.seeds")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, a CPU thread each")
    parser.add_argument("--again", action="store_true", help="measure also what this commit has measured")
    parser.add_argument("--data-dir", default="data", help="where the data sets lie (paths.data_dir)")
    asked = parser.parse_args()

    from litlab.benchmark.reproduce import reproduce

    reproduce(**vars(asked))


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:
        sys.exit(tell(error))
