"""Measure the weights of a finished run again: on any of its splits, on another device, on other data."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as L
from lightning.pytorch import Trainer, seed_everything
from omegaconf import DictConfig, OmegaConf

from litlab.build import build_data, build_trainer
from litlab.callbacks.pictures import Pictures
from litlab.callbacks.predictions import PredictionsFile
from litlab.config.changes import differences
from litlab.data.tensors import Split, TensorData
from litlab.errors import RequestError
from litlab.finish import test
from litlab.load import LoadedRun
from litlab.runs.environment import environment, git_state
from litlab.runs.result import write
from litlab.sweeps.folder import claim_job, free_number
from litlab.sweeps.naming import short_keys
from litlab.tasks.compatibility import check_targets
from litlab.tasks.metrics import metric_name
from litlab.verbs.changed_config import changed_config
from litlab.verbs.request import Request, removed_on_error
from litlab.verbs.train import describe_environment, prepare_process

# Settings that change no metric of an evaluation, or that it always sets.
UNUSED = ("callbacks", "logger", "paths", "resume", "trust", "trainer.num_nodes")
DIVISION = ("val_size", "test_size", "test_on_train", "split", "split_seed", "folds", "fold")
SPLITTING = [f"data.{name}" for name in DIVISION]


def evaluate(request: Request) -> tuple[dict[str, Any], Path]:
    """Measure the tested weights of a run, and write evaluation.json, predictions.csv and pictures into its directory.

    Args:
        request: from `evaluation_of`.

    Returns:
        what evaluation.json holds, and its folder, RUN/evaluations/NUMBER_split=...

    Raises:
        RequestError: the run cannot be opened, there is no such split or setting, or the data do not fit the model.
    """
    began, started = time.perf_counter(), datetime.now().astimezone().isoformat(timespec="seconds")
    split, run = request.own["split"], request.open()
    directory = run.directory
    config = changed_config(run.config, run.result.choices, request)
    before, now = (cast(dict[str, Any], OmegaConf.to_container(each, resolve=True)) for each in (run.config, config))
    changed = differences(before, now, irrelevant=UNUSED)
    prepare_process(config)
    seed_everything(config.seed, verbose=False)
    data = load_data(config, run, split)
    with removed_on_error(_claim(directory / "evaluations", request)) as folder:
        trainer = _build_trainer(config, data, split, folder, run.data.class_names)
        metrics = test(trainer, run.task, data)
        metrics = {metric_name(split, name.removeprefix("test/")): value for name, value in metrics.items()}
        content = {
            "run": str(directory),
            "split": split,
            "samples": len(data.splits["test"].inputs),
            "overrides": [each.input_line for each in request.overrides],
            "changed": {name: {"run": old, "evaluation": new} for name, (old, new) in changed.items()},
            "remarks": list(_remarks(run, data, request, changed)),
            "metrics": metrics,
            "metrics_of_run": {name: vars(run.result).get("metrics", {}).get(name) for name in metrics},
            "checkpoint": run.checkpoint.name,
            "checkpoint_sha256": hashlib.sha256(run.checkpoint.read_bytes()).hexdigest(),
            "started": started,
            "seconds": round(time.perf_counter() - began, 3),
            "git": git_state(),
            "environment": environment() | describe_environment(trainer),
        }
        write(folder / "evaluation.json", content)
    return content, folder


def load_data(config: DictConfig, run: LoadedRun, split: str) -> TensorData:
    """The data, normalized as those that the run was trained on, with `split` in the place of the test split.

    Raises:
        RequestError: they do not fit the model, or there is no such split.
    """
    data = build_data(config)
    name = type(data).__name__
    data.adopt(run.data)
    for what in ("input_shape", "num_outputs", "num_tokens"):
        there, ours = getattr(data, what), getattr(run.data, what)
        if there != ours:
            raise RequestError(
                f"data={name}: has {what} {there}, and the run was trained on {ours}: they must be equal"
            )
    check_targets(run.task, data)
    if split == "val" and not data.has_validation:
        raise RequestError("split=val: there is no validation split (data.val_size=0); choose train or test")
    data.normalize = False  # by statistics of its own
    data.prepare_data()
    data.setup()
    inputs, targets = data.splits[split]
    prepared = inputs if run.data.table is not None else run.data.prepare(inputs)
    # Class weights are computed from the training split's targets; its inputs, not normalized here, are not used.
    data.splits = {"train": data.splits["train"], "test": Split(prepared, targets)}
    data.normalize = run.data.mean is not None
    data.test_split = split if split != "test" else data.test_split
    return data


def _build_trainer(
    config: DictConfig, data: TensorData, split: str, folder: Path, class_names: Sequence[str] | None
) -> Trainer:
    limit = config.trainer.get("limit_test_batches" if split == "test" else "limit_val_batches", 1.0)
    quiet = {"limit_test_batches": limit, "profiler": None, "enable_progress_bar": False}
    settings = OmegaConf.merge(config, {"trainer": quiet, "paths": {"run_dir": str(folder)}})
    trainer = build_trainer(cast(DictConfig, settings), data)
    own = cast(list[L.Callback], trainer.callbacks)
    own += [Pictures(folder), PredictionsFile(folder / "predictions.csv", class_names)]
    return trainer


def _claim(parent: Path, request: Request) -> Path:
    words = {each.key_or_group: str(each.input_line).partition("=")[2] for each in request.overrides}
    names = short_keys([name for name in words if not name.startswith(("paths.", "trust"))])
    settings = {names[name]: words[name] for name in names}
    parent.mkdir(exist_ok=True)
    return claim_job(parent, free_number(parent), {"split": request.own["split"]} | settings)


def _remarks(run: LoadedRun, data: TensorData, request: Request, changed: Mapping[str, Any]) -> Iterator[str]:
    status = vars(run.result).get("status")
    if status != "completed":
        yield f"the run's status is {status}: these are the best weights so far"
    resplit = [name for name in changed if name in SPLITTING]
    if resplit and request.own["split"] != "train":
        yield f"{', '.join(resplit)}: differs, so the run may have been trained on some of these samples"
    if data.class_names is not None and run.data.class_names != tuple(data.class_names):
        yield "the classes have other names than the run's; they are compared by their numbers"
    if run.data.feature_names != (data.feature_names and tuple(data.feature_names)):
        yield "the columns have other names than the run's; they are taken in their order"
    if data.test_split == "train":
        yield "these samples are those of the training: the metrics say nothing about new ones"
