"""A run's network as it is served: from raw inputs, its normalization inside, in formats that other programs read."""

import contextlib
import functools
import importlib.util
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from litlab.errors import RunError
from litlab.escape import one_line, printable
from litlab.load import LoadedRun

TRACED = 3  # samples: with one, torch.export and onnxruntime would take the batch for a constant
NEEDED = ("onnx", "onnxscript", "onnxruntime")
MAX_REASON = 200  # characters of a library's message


class Served(nn.Module):
    """A run's network, from raw inputs to logits or, for a regression, to numbers in the targets' unit.

    Args:
        run: on the CPU, in evaluation mode.

    Attributes:
        dtype: of the inputs: uint8 images where the data set says what pixels are divided by, int64 tokens, else
            float32.
        output: its name: logits, or values.
    """

    def __init__(self, run: LoadedRun) -> None:
        super().__init__()
        self.model, self.data = run.model, run.data
        self.is_regression = run.data.target_kind == "regression"
        self._predictions = run.task.predictions
        self.output = "values" if self.is_regression else "logits"
        is_pixels = run.data.pixel_max is not None and len(run.data.input_shape) == 3
        self.dtype = torch.int64 if run.data.num_tokens else torch.uint8 if is_pixels else torch.float32
        self.eval()

    def forward(self, input: Tensor) -> Tensor:
        """(N, *input_shape), `dtype`, to (N, num_outputs), float32."""
        outputs = self.model(input if self.dtype == torch.int64 else self.data.scale(input))
        return self._predictions(outputs) if self.is_regression else outputs

    def raw(self, loaded: Tensor) -> Tensor:
        """Inputs (N, *input_shape) as the data set loads them, in the form that `forward` takes."""
        if self.dtype == torch.uint8 and self.data.pixel_max is not None:
            loaded = (loaded * self.data.pixel_max).round()
        return loaded.to(self.dtype)

    @property
    def about(self) -> dict[str, str]:
        """What a file says of itself: names, as JSON, for readers that take text alone."""
        spec = self.data
        names = {"label_names": spec.class_names, "feature_names": spec.feature_names}
        texts = {"target_name": spec.target_name} if self.is_regression else {}
        return texts | {name: json.dumps(value) for name, value in names.items() if value is not None}

    @functools.cached_property
    def program(self) -> ExportedProgram:
        """The graph, for any number of samples."""
        example = self.raw(torch.zeros(TRACED, *self.data.input_shape))
        program = torch.export.export(self, (example,), dynamic_shapes=({0: Dim("batch")},))
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # with the names of this machine's folders
        return program


def write_safetensors(served: Served, file: Path) -> None:
    """The network's weights by their names in `model`, and `about` as metadata."""
    weights = {name: weight.contiguous().clone() for name, weight in served.model.state_dict().items()}
    save_file(weights, file, metadata={"format": "pt"} | served.about)


def write_pt2(served: Served, file: Path) -> Callable[[Tensor], Tensor]:
    """For torch.export.load; returns what the file computes."""
    torch.export.save(served.program, file)
    return torch.export.load(file).module()


def write_onnx(served: Served, file: Path) -> Callable[[Tensor], Tensor]:
    """For onnxruntime: input `input` (batch, ...), output `served.output`; returns what the file computes."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise RunError(f"needs {', '.join(missing)}: make setup EXTRAS=export")
    import onnxruntime

    program = torch.onnx.export(
        served.program,
        input_names=["input"],
        output_names=[served.output],
        dynamic_shapes=({0: "batch"},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props.update(served.about)
    program.save(file, external_data=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda inputs: torch.from_numpy(session.run([served.output], {"input": inputs.numpy()})[0])


FORMATS: dict[str, tuple[str, Callable[[Served, Path], Callable[[Tensor], Tensor] | None]]] = {
    "safetensors": ("model.safetensors", write_safetensors),
    "pt2": ("model.pt2", write_pt2),
    "onnx": ("model.onnx", write_onnx),
}


def write(served: Served, file: Path, format: str) -> Callable[[Tensor], Tensor] | None:
    """Write a file in one of `FORMATS`.

    Returns:
        what it computes; None for weights alone.

    Raises:
        RunError: the network cannot be written so; no part of the file is left.
    """
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")  # the exporters are chatty
            return FORMATS[format][1](served, file)
    except RunError:
        raise
    except Exception as error:  # of many kinds, and of many lines
        file.unlink(missing_ok=True)
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = printable(one_line(lines[0] if lines else ""))[:MAX_REASON]
        raise RunError(f"{type(error).__name__}: {reason}") from error
