"""What `load` gives, made into splits that a network can take; what does not fit is told in one line."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from litlab.data.splits import Declaration, Split, fault


def as_splits(data: Declaration, loaded: Any) -> tuple[Split, Split | None]:
    """The training and the test split, if there is one, as a `Split` each; what is right already is not copied.

    Args:
        data: what `load` belongs to.
        loaded: what it gave: two pairs (inputs, targets) of tensors or of what numpy takes, of any type of numbers.

    Raises:
        RequestError: it is something else, or not what the data set says of its samples.
    """
    _check_declaration(data)
    if isinstance(loaded, Split) or not isinstance(loaded, tuple | list) or len(loaded) != 2:
        parts: list[Any] = []
    else:
        parts = [part for part in loaded if isinstance(part, tuple) and len(part) == 2]
        if len(parts) == 1 and loaded[1] is None:
            parts.append(None)
    if len(parts) != 2:
        raise fault(
            data,
            "load() must return two splits, the test split or None as the second: return Split(inputs, targets), None",
        )
    train, test = parts
    return _split(data, "train", *train), None if test is None else _split(data, "test", *test)


def _check_declaration(data: Declaration) -> None:
    shape: Any = data.input_shape
    if not isinstance(shape, tuple) or not shape:
        raise fault(data, f"input_shape = {shape} must be a tuple, such as (2,)")
    tokens: Any = data.num_tokens
    if tokens is not None and (not isinstance(tokens, int) or tokens < 1):
        raise fault(
            data, f"num_tokens = {tokens} must be a whole number, such as 1000; None for inputs that are no tokens"
        )
    classes, names = len(data.class_names or ()), len(data.feature_names or ())
    if data.class_names is not None and data.num_outputs != classes and (data.num_outputs, classes) != (1, 2):
        raise fault(
            data,
            f"num_outputs = {data.num_outputs}, but class_names has {classes}; "
            "they must be as many (or 1 output for two classes, with task=binary)",
        )
    if names and len(shape) in (1, 2) and names != shape[-1]:
        means = f"{shape[-1]} {'columns' if len(shape) == 1 else 'channels (time, channels)'}"
        raise fault(data, f"feature_names has {names}, but input_shape = {shape} means {means}; they must be as many")


def _split(data: Declaration, part: str, inputs: Any, targets: Any) -> Split:
    inputs, targets = _numbers(data, f"{part} inputs", inputs), _numbers(data, f"{part} targets", targets)
    if inputs.shape[1:] != data.input_shape:
        right = ", ".join(["N", *map(str, data.input_shape)])
        raise fault(
            data,
            f"load() gives {part} inputs of shape {tuple(inputs.shape)}; "
            f"with input_shape = {data.input_shape} they must be ({right})",
        )
    if len(inputs) != len(targets):
        raise fault(
            data, f"load() gives {len(inputs)} {part} inputs and {len(targets)} targets; each input needs a target"
        )
    if not len(inputs):
        instead = "; give None to carve data.test_size" if part == "test" else ""
        raise fault(data, f"load() gives a {part} split without samples{instead}")
    targets = _values(data, part, targets) if data.class_names is None else _labels(data, part, targets)
    if data.num_tokens is not None:
        return Split(_whole(data, part, "token", inputs, data.num_tokens), targets)
    return Split(inputs.to(torch.float32), targets)


def _numbers(data: Declaration, what: str, values: Any) -> Tensor:
    """A tensor (N, ...) of any type of numbers; of an array that torch can take as it is, without a copy."""
    tensor = values
    if dense := _how_to_make_dense(values):
        raise fault(
            data, f"load() gives {what} that are sparse ({type(values).__name__}); make them dense with {dense}"
        )
    try:
        if not isinstance(values, Tensor):
            tensor = torch.as_tensor(np.require(values, requirements=("C", "W")))
    except (TypeError, ValueError, RuntimeError):
        pass
    if not isinstance(tensor, Tensor) or tensor.is_complex():
        kind = type(values).__name__
        raise fault(data, f"load() gives {what} that are no numbers in rows of one length ({kind}); give a tensor")
    return torch.atleast_1d(tensor.detach().cpu())


def _how_to_make_dense(values: Any) -> str:
    """What makes an ordinary array of sparse ones: torch's layouts, and scipy's matrices; nothing for other values."""
    if isinstance(values, Tensor):
        return "" if values.layout is torch.strided else ".to_dense()"
    return ".toarray()" if hasattr(values, "toarray") else ""


def _labels(data: Declaration, part: str, targets: Tensor) -> Tensor:
    """The numbers of classes, (N,), int64."""
    if targets.dim() == 2 and targets.shape[1] == 1:
        targets = targets.squeeze(1)
    if targets.dim() != 1:
        raise fault(
            data,
            f"load() gives {part} labels of shape {tuple(targets.shape)}; classes must be (N,), "
            "a number each (one-hot rows: take argmax(1))",
        )
    return _whole(data, part, "label", targets, len(data.class_names or ()))


def _whole(data: Declaration, part: str, what: str, values: Tensor, count: int) -> Tensor:
    """Labels or tokens, of so many there are, as int64; floating-point ones must be whole."""
    if values.is_floating_point():
        broken = values[~(values.isfinite() & (values == values.round()))]
        if len(broken):
            kind, otherwise = {
                "label": ("classes", "numbers to predict: no class_names"),
                "token": ("tokens", "other inputs: no num_tokens"),
            }[what]
            raise fault(
                data,
                f"load() gives {float(broken[0]):g} as a {part} {what}; {kind} are whole numbers from 0 to {count - 1} "
                f"({otherwise})",
            )
    return values.to(torch.int64)


def _values(data: Declaration, part: str, targets: Tensor) -> Tensor:
    """The numbers to predict, num_outputs of each sample, float32."""
    outputs = data.num_outputs
    if math.prod(targets.shape[1:]) != outputs:
        right = "(N,)" if outputs == 1 else f"(N, {outputs})"
        raise fault(
            data,
            f"load() gives {part} targets of shape {tuple(targets.shape)}; "
            f"with num_outputs = {outputs} and no class_names they must be {right}",
        )
    return targets.to(torch.float32)
