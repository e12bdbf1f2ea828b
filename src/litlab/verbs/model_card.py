"""What an export says of itself: config.json with timm's keys, and a model card as model hubs show it."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from omegaconf import OmegaConf
from torch import nn

from litlab.config.choices import choices
from litlab.data.samples import column_names
from litlab.escape import markdown, printable
from litlab.load import LoadedRun
from litlab.runs import reading
from litlab.runs.result import FILE, test_note
from litlab.sweeps.folder import REQUEST
from litlab.sweeps.job_result import JobResult
from litlab.sweeps.leaderboard import read_and_rank
from litlab.sweeps.report import command
from litlab.sweeps.rows import Row, Spread, decimals
from litlab.verbs.served import Served

MAX_NAMES = 100  # of classes or columns that the card lists; config.json has all
USE = """\
```python
import numpy as np
import onnxruntime

inputs = np.zeros({shape}, dtype=np.{dtype})  # yours
session = onnxruntime.InferenceSession("model.onnx")
[{output}] = session.run(["{output}"], {{"input": inputs}})
```"""


def config_json(run: LoadedRun, served: Served, checked: Mapping[str, Any]) -> dict[str, Any]:
    """The settings under the keys that timm reads; what it has none for, under `litlab`."""
    spec, target = run.data, str(run.config.model.get("_target_"))
    columns = len(column_names(spec)) if spec.num_tokens is None else 0
    layers = [layer for layer in run.model.modules() if isinstance(layer, nn.Linear)]
    features = {"num_features": layers[-1].in_features} if layers else {}
    labels = {"label_names": list(spec.class_names)} if spec.class_names is not None else {}
    settings: Any = OmegaConf.to_container(run.config.model, resolve=True)
    buffers = {name: values.tolist() for name, values in run.task.named_buffers(recurse=False)}
    return {
        "architecture": run.result.choices.get("model") or target.rpartition(".")[2],
        "num_classes": spec.num_outputs,
        **features,
        **labels,
        "model_args": {name: value for name, value in settings.items() if name != "_target_"},
        "pretrained_cfg": {
            "input_size": list(spec.input_shape),
            "num_classes": spec.num_outputs,
            "mean": list(spec.mean or [0.0] * columns),
            "std": list(spec.std or [1.0] * columns),
        },
        "litlab": {
            "model": target,
            "task": spec.target_kind,
            "input_dtype": str(served.dtype).removeprefix("torch."),
            "output": served.output,
            **{
                name: value
                for name, value in spec.as_dict().items()
                if name in ("pixel_max", "num_tokens", "target_name")
            },
            "feature_names": spec.feature_names and list(spec.feature_names),
            **{name: buffers[name] for name in ("target_mean", "target_std") if name in buffers},
            "checked": {name: checked[name] for name in ("inputs", "samples", "differences", "failed")},
        },
    }


def model_card(run: LoadedRun, served: Served, checked: Mapping[str, Any]) -> str:
    """The card, with YAML front matter; all names in it may be anybody's, and are disarmed."""
    job = JobResult.of(reading.read(run.directory / FILE), run.directory)
    row = row_of(job)
    model, data = job.choices.get("model") or type(run.model).__name__, job.choices.get("data") or run.data.name
    title = printable(f"{model} on {data}")
    header = yaml.safe_dump(front_matter(run, job, title, printable(data)), sort_keys=False)
    sections = {
        "Data": describe_data(run, job),
        "Input and output": describe_interface(run, served),
        "Metrics": metrics_table(job, row),
        "Training": [f"    {printable(command(Row.of([job], ())))}", "", commit(run)],
        "Limits": [f"- {text}" for text in limits(run, job, row)],
        "Files": [f"- {text}" for text in files(run, checked)],
    }
    weights = sum(weight.numel() for weight in run.model.parameters())
    lines = [f"---\n{header}---", "", f"# {markdown(title)}", "", f"{kind(run)}. {weights:,} parameters."]
    for name, section in sections.items():
        lines += ["", f"## {name}", "", *section]
    return "\n".join([*lines, ""])


def row_of(job: JobResult) -> Row | None:
    """The leaderboard's row with the run, where a sweep has it for several seeds or folds."""
    assert job.run_dir is not None
    directory = job.run_dir.absolute()
    if not (directory.parent / REQUEST).is_file():
        return None
    rows = read_and_rank([directory.parent]).rows
    return next((row for row in rows if row.n > 1 and directory in [each.run_dir for each in row.completed]), None)


def front_matter(run: LoadedRun, job: JobResult, title: str, data: str) -> dict[str, Any]:
    """What a hub lists a model by."""
    metrics = [
        {"type": printable(name.partition("/")[2]), "name": printable(name), "value": value}
        for name, value in job.metrics.items()
        if name.startswith("test/") and value is not None
    ]
    purpose = pipeline(run) or "other"
    result = {"task": {"type": purpose}, "dataset": {"type": data, "name": data}, "metrics": metrics}
    tags = {"library_name": "pytorch", "tags": ["litlab"]} | ({"pipeline_tag": purpose} if pipeline(run) else {})
    return tags | {"model-index": [{"name": title, "results": [result]}]}


def pipeline(run: LoadedRun) -> str | None:
    """The hub's name for such a model, if it has one."""
    shape, is_regression = run.data.input_shape, run.data.target_kind == "regression"
    if run.data.num_tokens is not None:
        return None if is_regression else "text-classification"
    if len(shape) == 1:
        return "tabular-regression" if is_regression else "tabular-classification"
    return "image-classification" if len(shape) == 3 and not is_regression else None


def kind(run: LoadedRun) -> str:
    """The task in a few words."""
    if run.data.class_names is None:
        return f"Regression: predicts {markdown(run.data.target_name)}"
    return f"Classification into {len(run.data.class_names)} classes"


def describe_data(run: LoadedRun, job: JobResult) -> list[str]:
    """What it was trained on."""
    known = choices()["data"].get(job.choices.get("data") or "")
    is_normalized = "normalized to mean 0 and standard deviation 1 by" if run.data.mean else "not normalized by"
    return [*([markdown(known), ""] if known else []), f"Inputs are {is_normalized} the training split's statistics."]


def describe_interface(run: LoadedRun, served: Served) -> list[str]:
    """What a client feeds and gets."""
    spec, dtype = run.data, str(served.dtype).removeprefix("torch.")
    shape = f"(N, {', '.join(map(str, spec.input_shape))})"
    if spec.num_tokens is not None:
        raw = f"tokens from 0 to {spec.num_tokens - 1}"
    elif dtype == "uint8":
        white = spec.appearance.levels if spec.appearance else spec.pixel_max
        raw = f"images with raw pixels from 0 to {white:g}, channels first"
    else:
        raw = "raw values, in the units of the training data" + ", channels first" * (len(spec.input_shape) == 3)
    lines = [f"`model.onnx` and `model.pt2` take {dtype} {shape}: {raw}. The normalization is in the graph."]
    if spec.feature_names:
        lines += ["", f"Columns, in this order: {_listed(spec.feature_names)}."]
    if spec.class_names is None:
        means = f"`values`, float32 (N, {spec.num_outputs}): {markdown(spec.target_name)}, in its own unit."
    elif spec.num_outputs == 1:
        name = markdown(spec.class_names[1])
        means = f"`logits`, float32 (N, 1): above 0 for class 1, {name}; the sigmoid is its probability."
    else:
        means = f"`logits`, float32 (N, {spec.num_outputs}): the largest is the class; their softmax, probabilities."
    lines += ["", f"The output is {means}"]
    if spec.class_names is not None:
        lines += ["", f"Classes: {_listed(f'{number}: {name}' for number, name in enumerate(spec.class_names))}."]
    return [*lines, "", USE.format(shape=(1, *spec.input_shape), dtype=dtype, output=served.output)]


def metrics_table(job: JobResult, row: Row | None) -> list[str]:
    """Validation and test of the run; and over the seeds, if there are several."""
    names = [name for name in job.metrics if name.startswith(("val/", "test/"))]
    over = f" mean ± std over {row.n} {' and '.join(row.replicates)} |" if row else ""
    lines = [f"| metric | this run |{over}", "|---|---:|" + "---:|" * bool(row)]
    for name in names:
        value = job.metrics[name]
        cells = [name + test_note(job.test_split) * name.startswith("test/"), "-" if value is None else f"{value:.5g}"]
        if row:
            spread = Spread.of(each.metrics.get(name) for each in row.completed)
            cells.append(spread.text(decimals([spread])))
        lines.append(f"| {' | '.join(map(markdown, cells))} |")
    return lines


def limits(run: LoadedRun, job: JobResult, row: Row | None) -> Iterator[str]:
    """What the numbers do not say."""
    yield "Measured on data like those of the training; nothing is known of others."
    if run.data.class_names is not None:
        yield "Any input gets one of the classes, also one that belongs to none."
    if row is None:
        yield "One run: how much the metrics vary with the seed is not known."
    if job.test_split == "train":
        yield "The test is on the training split: it says nothing about new samples."
    if not job.is_completed:
        yield f"The run's status is {job.status}: these are its best weights so far."


def files(run: LoadedRun, checked: Mapping[str, Any]) -> Iterator[str]:
    """Each file and what it was checked with."""
    on = f"{checked['samples']:,} samples of {markdown(checked['inputs'])}"
    for name, difference in checked["differences"].items():
        yield f"`{name}`: differs by at most {difference:.2g} from the run on {on}, in batches of 1, 2 and 257"
    yield f"`model.safetensors`: weights alone, from {markdown(run.checkpoint.name)}; `config.json`: settings"
    for name, reason in checked["failed"].items():
        yield f"`{name}` is missing: {markdown(reason)}"


def commit(run: LoadedRun) -> str:
    """The code that trained it, as far as the run says."""
    git = vars(run.result).get("git")
    found = git.get("commit") if isinstance(git, dict) else None
    return f"litlab, commit {markdown(str(found))[:40]}." if found else "litlab."


def _listed(names: Any) -> str:
    every = [markdown(name) for name in names]
    more = f", ... ({len(every):,} in all)" if len(every) > MAX_NAMES else ""
    return ", ".join(every[:MAX_NAMES]) + more
