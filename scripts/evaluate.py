"""Measure a trained run again: on its own test split, on another split, on other data, on another device.

python scripts/evaluate.py run=logs/train/runs/DATE_TIME           the run's own metrics, predictions.csv and pictures
python scripts/evaluate.py run=last split=val                      the newest run; train, val or test (the default)
python scripts/evaluate.py run=DIR data=mnist trainer=cpu          other data of the same shape; on the CPU

run=SWEEP means the winner of a sweep. The files go to RUN/evaluations/, never over earlier ones.
"""

import argparse
import logging

from litlab.cli import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", metavar="NAME=VALUE", nargs="+", help="run=, split=, and settings that are to differ")
    asked = parser.parse_args()

    from litlab.config.arguments import arguments  # here, so that --help does not wait for the imports
    from litlab.runs.report import print_evaluation
    from litlab.verbs.evaluate import evaluate

    logging.captureWarnings(True)  # there is no train.log for them
    print_evaluation(*evaluate(arguments(asked.words)))


if __name__ == "__main__":
    run_script(main)
