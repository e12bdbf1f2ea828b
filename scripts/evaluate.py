"""Measure a trained run again: on its own test split, on another split, on other data, on another device.

python scripts/evaluate.py run=logs/train/runs/DATE_TIME           the run's own metrics, predictions.csv and pictures
python scripts/evaluate.py run=last split=val                      the newest run; train, val or test (the default)
python scripts/evaluate.py run=DIR data=mnist trainer=cpu          other data of the same shape; on the CPU

run=SWEEP means the winner of a sweep. The files go to RUN/evaluations/, never over earlier ones.
"""

import logging

from litlab.cli import run_script, run_words


def main() -> None:
    words = run_words(__doc__, "run=, split=, and settings that are to differ")

    from litlab.verbs.changed_config import evaluation_of  # here, so that --help does not wait for the imports

    request = evaluation_of(words)

    from litlab.runs.report import print_evaluation
    from litlab.verbs.evaluate import evaluate  # imports torch, for which no wrong word waits

    logging.captureWarnings(True)  # there is no train.log for them
    print_evaluation(*evaluate(request))


if __name__ == "__main__":
    run_script(main)
