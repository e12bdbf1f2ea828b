"""The layers of a model for some data: output shapes, parameters, multiply-adds, memory."""

from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities.model_summary import ModelSummary
from omegaconf import DictConfig

from litlab.build import build_model
from litlab.data.columns import Row
from litlab.data.tensors import TensorData
from litlab.tasks.compatibility import check_model


class _Shown(L.LightningModule):
    """What Lightning's summary takes: the model, and one sample of zeros."""

    def __init__(self, config: DictConfig, data: TensorData) -> None:
        super().__init__()
        self.model = build_model(config, data)
        dtype = torch.float32 if data.num_tokens is None else torch.int64
        self.example_input_array = torch.zeros(1, *data.input_shape, dtype=dtype)

    def forward(self, inputs: torch.Tensor) -> Any:
        return self.model(inputs)


def describe_layers(config: DictConfig, data: TensorData) -> list[Row]:
    """A row per innermost module for one sample, the rest, and the total, as Lightning and torch count them.

    The rest: what modules do outside the modules in them, such as a sum of two, or a parameter of their own.
    `multiply-adds` is half of torch's count of floating-point operations, which has matrix products and convolutions
    alone; `KB` is that of the parameters as float32.

    Args:
        config: with `model`, and `trust`.
        data: their shapes are known, as after `raw_splits`.

    Raises:
        RequestError: the model cannot be built for these data.
    """
    check_model(config, data)
    shown = _Shown(config, data)
    found = ModelSummary(shown, max_depth=-1)
    flops = [sum(each.values()) for each in found.flop_counts.values()]
    layers = zip(found.layer_names, found.layer_types, found.out_sizes, found.param_nums, flops, strict=True)
    rows = [
        _row(name.removeprefix("model").lstrip(".") or "model", kind, _shape(sizes), parameters, operations)
        for name, kind, sizes, parameters, operations in layers
        if not any(shown.get_submodule(name).children())
    ]
    total = _row(
        "total", type(shown.model).__name__, _shape(found.out_sizes[0]), found.total_parameters, found.total_flops
    )
    rest = {name: total[name] - sum(row[name] for row in rows) for name in ("parameters", "multiply-adds")}
    if any(rest.values()):
        rows.append(_row("rest", "", "", rest["parameters"], 2 * rest["multiply-adds"]))
    return [*rows, total]


def _row(name: str, kind: str, output: str, parameters: int, operations: int) -> Row:
    row: Row = {"layer": name, "class": kind, "output": output, "parameters": parameters}
    return row | {"multiply-adds": operations // 2, "KB": parameters * 4 / 1000}


def _shape(sizes: Any) -> str:
    """Of one sample; a module with several outputs, such as nn.RNN, is shown by the first."""
    if not isinstance(sizes, list) or not sizes:
        return str(sizes)
    return _shape(sizes[0]) if isinstance(sizes[0], list) else " x ".join(map(str, sizes[1:]))
