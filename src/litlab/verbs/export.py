"""Export a finished run: a folder with its network in the formats of other programs, its settings and a model card."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from litlab.build import build_data
from litlab.errors import RequestError, RunError
from litlab.escape import one_line, printable
from litlab.files import write_atomic
from litlab.load import LoadedRun
from litlab.runs.result import write
from litlab.sweeps.folder import claim_free
from litlab.verbs import served
from litlab.verbs.changed_config import changed_config
from litlab.verbs.model_card import config_json, model_card
from litlab.verbs.request import Request, removed_on_error
from litlab.verbs.served import FORMATS, Served

BATCH_SIZES = (1, 2, 257)  # with which each file is checked
TOLERANCE = 1e-5  # relative to the largest output above 1
GENERATED = 1000  # samples, where there is no test split


def export(request: Request) -> tuple[dict[str, Any], Path]:
    """Write the network of a run as safetensors, for torch.export and as ONNX, with config.json and a model card.

    A client of model.pt2 and model.onnx feeds raw inputs, as an image file or a table has them: the normalization is
    in the graph. Both are opened at once, and must compute what the run does on its own test split.

    Args:
        request: from `export_of`. Without to=DIR it is RUN/export, or RUN/export-2, ... where that exists.

    Returns:
        `samples` and `inputs` of the check, the largest `differences` and `failed` by file, and the folder.

    Raises:
        RequestError: the run cannot be opened, or the folder cannot be made.
    """
    run = request.open()
    network = Served(run)
    inputs, kind = test_inputs(run, network, request)
    expected = outputs_of(run, inputs)
    content: dict[str, Any] = {"run": str(run.directory), "samples": len(inputs), "inputs": kind}
    content |= {"differences": {}, "failed": {}}
    with removed_on_error(_claim(request.own["to"], run.directory / "export")) as folder:
        for format in request.formats():
            file = folder / FORMATS[format][0]
            try:
                computed = served.write(network, file, format)
                if computed is not None:
                    content["differences"][file.name] = check(computed, inputs, expected)
            except RunError as error:
                file.unlink(missing_ok=True)
                content["failed"][file.name] = str(error)
        write(folder / "config.json", config_json(run, network, content))
        write_atomic(folder / "README.md", model_card(run, network, content).encode())
    return content, folder


def test_inputs(run: LoadedRun, network: Served, request: Request) -> tuple[Tensor, str]:
    """What the files are checked with: raw inputs, and what they are.

    They are of the run's own test split or, where its data cannot be loaded here, generated.
    """
    try:
        data = build_data(changed_config(run.config, run.result.choices, request))
        data.prepare_data()
        inputs = data.raw_splits()["test"].inputs[:]  # in memory, where they lie in a file
        if inputs.shape[1:] == run.data.input_shape:
            return network.raw(inputs), "the test split"
        reason = "the data have another shape by now"
    except (RequestError, RunError, OSError) as error:
        reason = printable(one_line(error))
    shape, random = (GENERATED, *run.data.input_shape), torch.Generator().manual_seed(0)
    if run.data.num_tokens is not None:
        inputs = torch.randint(run.data.num_tokens, shape, generator=random)
    elif network.dtype == torch.uint8 and (divisor := run.data.pixel_max) is not None:
        white = run.data.appearance.levels if run.data.appearance else divisor
        inputs = torch.randint(int(white) + 1, shape, generator=random) / divisor
    else:
        inputs = torch.randn(shape, generator=random)
    return network.raw(inputs), f"generated inputs: {reason}"


def outputs_of(run: LoadedRun, inputs: Tensor) -> Tensor:
    """What the run itself makes of raw inputs: logits (N, C) or, for a regression, predicted values (N, K)."""
    with torch.inference_mode():
        outputs = torch.cat([run.task(batch) for batch in run.data.prepare(inputs).split(run.data.eval_batch_size)])
        return run.task.predictions(outputs) if run.data.target_kind == "regression" else outputs


def check(computed: Callable[[Tensor], Tensor], inputs: Tensor, expected: Tensor) -> float:
    """The largest absolute difference of what a file computes, over all inputs and `BATCH_SIZES`.

    Raises:
        RunError: it is not within `TOLERANCE`.
    """
    repeats = -(-max(BATCH_SIZES) // len(inputs))  # of a test split smaller than a batch
    inputs, expected = (each.repeat(repeats, *[1] * (each.dim() - 1)) for each in (inputs, expected))
    with torch.inference_mode():
        batches = [torch.cat([computed(batch) for batch in inputs.split(size)]) for size in BATCH_SIZES]
    difference = max(float((outputs - expected).abs().max()) for outputs in batches)
    allowed = TOLERANCE * max(1.0, float(expected.abs().max()))
    if not difference <= allowed:  # also NaN
        raise RunError(f"its outputs differ from the run's by up to {difference:.2g}, {allowed:.2g} is allowed")
    return difference


def _claim(asked: str, usual: Path) -> Path:
    folder = Path(asked) if asked else usual
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return claim_free(folder)
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise RequestError(f"to={folder}: cannot be made ({reason}); name another folder") from error
