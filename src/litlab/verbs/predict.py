"""Predictions of a finished run for new inputs: image files, arrays, tables."""

import io
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from torch import Tensor, stack

from litlab import escape
from litlab.data.frames import unseen_remarks
from litlab.data.inputs import Inputs, open_inputs
from litlab.errors import RequestError
from litlab.files import write_atomic
from litlab.load import LoadedRun
from litlab.runs.report import counting
from litlab.tasks.prediction import predict as predict_batch
from litlab.verbs.request import Request
from litlab.verbs.train import prepare_process

FORMATS: dict[str, Callable[[pl.DataFrame], bytes]] = {
    ".csv": lambda frame: as_csv(frame).encode(),
    ".json": lambda frame: frame.write_json().encode(),
    ".jsonl": lambda frame: frame.write_ndjson().encode(),
    ".parquet": lambda frame: _parquet(frame),
}


@dataclass(frozen=True)
class Predictions:
    """What `predict` found.

    Attributes:
        frame: a row per good sample: filename or row; index, label and prob of the predicted class, or with several
            classes index_0, index_1, ..., label_0, ..., prob_0, ... from the most probable, as timm's inference.py
            writes them; for a regression the predicted values. Where the table has it, the truth, as `Truth.beside`.
        faults: how many samples were bad; their errors have been printed.
        remarks: warnings.
        output: the file that was written.
        seconds: that reading and predicting took.
        agreement: how the predictions agree with the truth, in a sentence; nothing without it.
    """

    frame: pl.DataFrame
    faults: int
    remarks: list[str]
    output: Path | None
    seconds: float
    agreement: str = ""


def predict(request: Request) -> Predictions:
    """Predict with the tested weights of a run; bad samples are told on stderr and left out.

    Args:
        request: from `prediction_of`.

    Raises:
        RequestError: the run cannot be opened, or the inputs are not of its kind.
    """
    output, topk, batch_size, threads = request.output(), *map(request.whole, ("topk", "batch_size", "threads"))
    run = request.open()
    config = run.config.copy()
    config.threads = threads or config.threads
    prepare_process(config)
    if topk and run.data.class_names is None:
        raise RequestError(f"topk={topk}: a regression predicts numbers, not classes; leave it out")
    inputs = open_inputs(request.files, run.data, request.own["key"], request.flag("invert"))
    began = time.perf_counter()
    frame, faults, remarks = _predict_all(run, inputs, batch_size or run.data.eval_batch_size, topk or 1)
    seconds, agreement = time.perf_counter() - began, ""
    if inputs.truth is not None and len(frame):
        frame = inputs.truth.beside(frame)
        agreement = inputs.truth.agreement(frame)
    remarks += request.remarks
    if status := vars(run.result).get("status"):
        remarks += [f"the run's status is {status}: these are its best weights so far"] * (status != "completed")
    if output is not None and len(frame):
        _write(output, FORMATS[output.suffix](frame), request.flag("overwrite"))
    return Predictions(frame, faults, remarks, output if len(frame) else None, seconds, agreement)


def _predict_all(run: LoadedRun, inputs: Inputs, batch_size: int, topk: int) -> tuple[pl.DataFrame, int, list[str]]:
    """The table, the number of bad samples, and remarks."""
    frames, faults, strange, inverted = [], 0, 0, 0
    unseen: Counter[tuple[str, str]] = Counter()
    with counting(inputs.count) as advance:
        for batch in inputs.batches(batch_size):
            if batch.names:
                named = pl.DataFrame({inputs.kind: batch.names})
                frames.append(named.hstack(columns(run, predict_batch(run.task, batch.inputs, batch_size), topk)))
            advance(len(batch.names) + len(batch.faults), batch.faults)
            faults += len(batch.faults)
            strange, inverted = strange + batch.unlike[0], inverted + batch.unlike[1]
            unseen += batch.unseen
    read = inputs.count - faults
    remarks = [*inputs.remarks, *_looks(run, inputs.inverted, read, strange, inverted)]
    remarks += unseen_remarks(run.data, unseen, read)
    return pl.concat(frames) if frames else pl.DataFrame({inputs.kind: []}), faults, remarks


def _looks(run: LoadedRun, is_inverted: bool, count: int, strange: int, inverted: int) -> Iterator[str]:
    """A remark if `strange` of `count` images look unlike the training's; `inverted` of them would not, inverted."""
    look = run.data.appearance
    if not strange or look is None:
        return
    if not inverted:
        advice = ""
    elif is_inverted:
        advice = f"; {inverted:,} of them would not without invert=true"
    else:
        advice = f"; with invert=true {inverted:,} of them would not"
    yield (
        f"{strange:,} of {count:,} images look unlike those of the training, whose background is "
        f"{look.background[0]:.0f} and mean brightness {look.brightness[0]:.0f} to {look.brightness[1]:.0f} (0: black, "
        f"255: white){advice}"
    )


def columns(run: LoadedRun, predictions: Tensor, topk: int) -> pl.DataFrame:
    """Columns of predictions: of the `topk` most probable classes (all of them, if there are fewer), or of numbers."""
    names = run.data.class_names
    if names is None:
        values = predictions.reshape(len(predictions), -1).numpy()
        count = values.shape[1]
        ending = [f" {number}" if count > 1 else "" for number in range(1, count + 1)]
        return pl.DataFrame({f"predicted {run.data.target_name}{end}": values[:, i] for i, end in enumerate(ending)})
    if run.data.target_kind == "binary":
        predictions = stack((1 - predictions, predictions), dim=1)
    probabilities, classes = (each[:, :topk].numpy() for each in predictions.sort(dim=1, descending=True, stable=True))
    labels = np.array(names, dtype=object)[classes]
    ending = [f"_{rank}" if topk > 1 else "" for rank in range(classes.shape[1])]
    parts = {"index": classes, "label": labels, "prob": probabilities}
    return pl.DataFrame({f"{part}{end}": each[:, i] for part, each in parts.items() for i, end in enumerate(ending)})


def as_csv(frame: pl.DataFrame) -> str:
    """CSV text, in which names that a spreadsheet or a terminal would obey are disarmed."""
    texts = [pl.Series(each.name, list(map(escape.csv, each))) for each in frame if each.dtype == pl.String]
    return frame.with_columns(texts).rename(escape.csv).write_csv()


def _parquet(frame: pl.DataFrame) -> bytes:
    content = io.BytesIO()
    frame.write_parquet(content)
    return content.getvalue()


def _write(output: Path, content: bytes, overwrite: bool) -> None:
    try:
        write_atomic(output, content, once=not overwrite)
    except FileExistsError as error:
        raise RequestError(f"output={output}: exists since a moment ago; name another file") from error
