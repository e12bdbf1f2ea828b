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

import argparse
import logging
import sys

from litlab.cli import print_text, run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = "run=, input=, output=, topk=, batch_size=, key=, invert=, overwrite=, threads=, paths.log_dir=, trust="
    parser.add_argument("words", metavar="NAME=VALUE", nargs="+", help=names)
    asked = parser.parse_args()

    from litlab.config.arguments import arguments  # here, so that --help does not wait for the imports
    from litlab.runs.report import print_predictions, print_warnings
    from litlab.verbs.predict import as_csv, predict

    logging.captureWarnings(True)  # there is no train.log for them
    found = predict(arguments(asked.words))
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
