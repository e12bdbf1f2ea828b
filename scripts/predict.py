"""Predict with a trained run: images, arrays or tables in, a table out.

python scripts/predict.py run=last input=shoe.png                an image: PNG, JPEG, BMP or WebP of any size
python scripts/predict.py run=DIR input=shoes topk=5             a folder; or input=a.png,b.png or 'input=shoes/*.jpg'
python scripts/predict.py run=DIR input=houses.csv output=o.csv  rows, by the columns' names; or .tsv, .parquet
python scripts/predict.py run=DIR input=images.npz key=test      an array; or .npy
cat houses.csv | python scripts/predict.py run=DIR input=-       a CSV table on stdin

output=FILE.csv, .json, .jsonl or .parquet (never over an existing file without overwrite=true); otherwise a table on a
terminal, and CSV into a pipe. A table with the target's column gets the truth beside the predictions, and stderr says
how they agree. invert=true: white becomes black. Bad samples are told on stderr, and the exit code is 1.
"""

import logging
import sys

from litlab.cli import print_text, run_script, run_words


def main() -> None:
    names = "run=, input=, output=, topk=, batch_size=, key=, invert=, overwrite=, threads=, paths.log_dir=, trust="
    words = run_words(__doc__, names)

    from litlab.verbs.request import prediction_of  # here, so that --help does not wait for the imports

    request = prediction_of(words)

    from litlab.runs.report import print_predictions, print_warnings
    from litlab.verbs.predict import as_csv, predict  # imports torch, for which no wrong word waits

    logging.captureWarnings(True)  # there is no train.log for them
    found = predict(request)
    if sys.stdout.isatty() or found.output:
        print_predictions(found.frame, found.output, found.seconds)
    elif len(found.frame):
        print_text(as_csv(found.frame).rstrip("\n"))
    if found.agreement:
        print(found.agreement, file=sys.stderr)
    print_warnings(found.remarks)
    sys.exit(1 if found.faults else 0)


if __name__ == "__main__":
    run_script(main)
