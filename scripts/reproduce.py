"""Run experiments over several seeds, and write RESULTS.md: their references beside our numbers (results.json).

python scripts/reproduce.py                              all of conf/experiment
python scripts/reproduce.py mnist_mlp line --seeds 3     these, three seeds each; the other rows stay
python scripts/reproduce.py --tables                     data=table beside scikit-learn; or --tables iris wine
python scripts/reproduce.py --page                       no runs: RESULTS.md from results.json and conf/experiment
"""

import argparse

from litlab.cli import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", help="names in conf/experiment, or of tables (all)")
    parser.add_argument("--seeds", type=int, help="runs of each (its reference.seeds)")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one CPU thread each (1)")
    parser.add_argument("--again", action="store_true", help="repeat the runs that this commit has already made")
    parser.add_argument("--data-dir", default="data", help="paths.data_dir (data)")
    parser.add_argument("--page", action="store_true", help="no runs, just write RESULTS.md again")
    parser.add_argument("--tables", action="store_true", help="data=table beside scikit-learn, and nothing else")
    options = vars(parser.parse_args())

    from litlab.benchmark.reproduce import (
        reproduce,
        reproduce_tables,
        write_page,
    )  # here, so that --help does not wait for the imports

    page, tables = options.pop("page"), options.pop("tables")
    if page:
        write_page()
    elif tables:
        reproduce_tables(options["experiments"], options["seeds"], options["data_dir"])
    else:
        reproduce(**options)


if __name__ == "__main__":
    run_script(main)
