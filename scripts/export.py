"""Export a trained run for other programs: safetensors, torch.export, ONNX, timm's config.json and a model card.

python scripts/export.py run=logs/train/runs/DATE_TIME         all formats, to RUN/export
python scripts/export.py run=last to=served formats=onnx       the newest run, one format, to another folder

run=SWEEP means the winner of a sweep. What other programs will compute is compared with the run's own predictions. No
earlier export is overwritten: the next one goes to RUN/export-2.
"""

import logging
import sys

from litlab.cli import run_script, run_words


def main() -> None:
    words = run_words(__doc__, "run=, to=, formats=, paths.data_dir=, trust=")

    from litlab.verbs.request import export_of  # here, so that --help does not wait for the imports

    request = export_of(words)

    from litlab.runs.report import print_export
    from litlab.verbs.export import export  # imports torch, for which no wrong word waits

    logging.captureWarnings(True)  # there is no train.log for them
    content, folder = export(request)
    print_export(content, folder)
    sys.exit(1 if content["failed"] else 0)


if __name__ == "__main__":
    run_script(main)
