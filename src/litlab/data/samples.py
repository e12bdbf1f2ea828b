"""The samples that `load` returns: their declaration, and conversion to tensors."""

import math
from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from litlab.data.splits import Split
from litlab.data.stored import StoredInputs
from litlab.errors import RequestError

TWO_SPLITS = "load() must return two splits (the second may be None): return Split(inputs, targets), None"


class Declaration(Protocol):
    """What a data set declares about its samples; see `TensorData`."""

    input_shape: tuple[int, ...]
    num_outputs: int
    class_names: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None
    num_tokens: int | None


def model_arguments(data: Any) -> dict[str, Any]:
    """The arguments that a model gets from the data: `input_shape`, `num_outputs` and, for tokens, `num_tokens`."""
    tokens = getattr(data, "num_tokens", None)  # foreign data modules may lack it
    given = {"input_shape": data.input_shape, "num_outputs": data.num_outputs}
    return given if tokens is None else given | {"num_tokens": tokens}


def column_axis(inputs: Tensor | StoredInputs) -> int:
    """The axis of the columns, which are normalized separately.

    Columns of a table (N, F), channels of a sequence (N, time, channels) or of images (N, channels, height, width).
    """
    return 2 if inputs.dim() == 3 else 1


def column_names(data: Declaration) -> tuple[str, ...]:
    """Names along `column_axis`."""
    shape = data.input_shape
    if len(shape) > 2:
        images = {1: ("grey",), 3: ("red", "green", "blue")}
        return images.get(shape[0]) or tuple(f"channel {number}" for number in range(shape[0]))
    kind = "column" if len(shape) == 1 else "channel"
    return data.feature_names or tuple(f"{kind} {number}" for number in range(shape[-1]))


def data_error(data: Declaration, problem: object) -> RequestError:
    """An error that begins with the class of the data set."""
    return RequestError(f"data={type(data).__name__}: {problem}")


def as_splits(data: Declaration, loaded: Any) -> tuple[Split, Split | None]:
    """The training split and the test split, if there is one; tensors of the right type are not copied.

    Args:
        data: the data set.
        loaded: what its `load` returned: two pairs (inputs, targets) of tensors or array-likes of any numeric type;
            the second may be None.

    Raises:
        RequestError: it is something else, or not what the data set declares.
    """
    try:
        _check_declaration(data)
        match loaded:
            case Split():
                pass  # a pair, but not of splits
            case (tuple((_, _)) as train, None):
                return _split(data, "train", *train), None
            case (tuple((_, _)) as train, tuple((_, _)) as test):
                return _split(data, "train", *train), _split(data, "test", *test)
    except RequestError as error:
        raise data_error(data, error) from error
    raise data_error(data, TWO_SPLITS)


def as_divided(data: Declaration, loaded: Mapping[str, Any]) -> dict[str, Split]:
    """The splits of data that divide themselves: train and, where they are given, val and test, which may be empty.

    Raises:
        RequestError: they are not what the data set declares.
    """
    try:
        _check_declaration(data)
        pairs = [isinstance(each, tuple) and len(each) == 2 for each in loaded.values()]
        if "train" not in loaded or set(loaded) - {"train", "val", "test"} or not all(pairs):
            raise RequestError(TWO_SPLITS)
        train = _split(data, "train", *loaded["train"])
        others = {part: loaded[part] for part in ("val", "test") if part in loaded}
        return {"train": train} | {
            part: _split(data, part, *each) if len(each[0]) else train.take(torch.arange(0))
            for part, each in others.items()
        }
    except RequestError as error:
        raise data_error(data, error) from error


def _check_declaration(data: Declaration) -> None:
    shape: Any = data.input_shape
    if not isinstance(shape, tuple) or not shape:
        raise RequestError(f"input_shape = {shape} must be a tuple, such as (2,)")
    tokens: Any = data.num_tokens
    if tokens is not None and (not isinstance(tokens, int) or tokens < 1):
        raise RequestError(f"num_tokens = {tokens} must be a whole number, such as 1000, or None for other inputs")
    classes, names = len(data.class_names or ()), len(data.feature_names or ())
    if data.class_names is not None and data.num_outputs != classes and (data.num_outputs, classes) != (1, 2):
        raise RequestError(
            f"num_outputs = {data.num_outputs}, but class_names has {classes}; "
            "they must match (or 1 output for two classes, with task=binary)"
        )
    if names and len(shape) in (1, 2) and names != shape[-1]:
        means = f"{shape[-1]} {'columns' if len(shape) == 1 else 'channels (time, channels)'}"
        raise RequestError(f"feature_names has {names}, but input_shape = {shape} means {means}; they must match")


def _split(data: Declaration, part: str, inputs: Any, targets: Any) -> Split:
    inputs, targets = _as_tensor(f"{part} inputs", inputs), _as_tensor(f"{part} targets", targets)
    if inputs.shape[1:] != data.input_shape:
        needed = ", ".join(["N", *map(str, data.input_shape)])
        raise RequestError(
            f"load() returns {part} inputs of shape {tuple(inputs.shape)}; "
            f"input_shape = {data.input_shape} needs ({needed})"
        )
    if len(inputs) != len(targets):
        raise RequestError(f"load() returns {len(inputs)} {part} inputs and {len(targets)} targets; they must match")
    if not len(inputs):
        instead = "; return None to carve data.test_size" if part == "test" else ""
        raise RequestError(f"load() returns an empty {part} split{instead}")
    targets = _as_numbers(data, part, targets) if data.class_names is None else _as_labels(data, part, targets)
    if data.num_tokens is not None:
        return Split(_as_int64(part, "token", inputs, data.num_tokens), targets)
    if isinstance(inputs, StoredInputs):
        return Split(cast(Tensor, inputs), targets)
    # What is smaller than float32 stays as it is: uint8 images would take four times the memory.
    small = inputs.dtype.itemsize < torch.float32.itemsize
    return Split(cast(Tensor, StoredInputs(inputs)) if small else inputs.to(torch.float32), targets)


def _as_tensor(what: str, values: Any) -> Tensor:
    """(N, ...) of any numeric type, on the CPU; without a copy where torch can share the memory."""
    kind = type(values).__name__
    if isinstance(values, StoredInputs):
        return cast(Tensor, values)
    is_tensor = isinstance(values, Tensor)
    if values.layout is not torch.strided if is_tensor else hasattr(values, "toarray"):  # scipy's sparse matrices
        dense = ".to_dense()" if is_tensor else ".toarray()"
        raise RequestError(f"load() returns sparse {what} ({kind}); make them dense with {dense}")
    try:
        tensor = values if is_tensor else torch.as_tensor(np.require(values, requirements=("C", "W")))
    except (TypeError, ValueError, RuntimeError):
        tensor = None
    if tensor is None or tensor.is_complex():
        raise RequestError(f"load() returns {what} that are not a numeric array ({kind}); return a tensor")
    return torch.atleast_1d(tensor.detach().cpu())


def _as_labels(data: Declaration, part: str, targets: Tensor) -> Tensor:
    """Class indices (N,), int64."""
    if targets.dim() == 2 and targets.shape[1] == 1:
        targets = targets.squeeze(1)
    if targets.dim() != 1:
        raise RequestError(
            f"load() returns {part} labels of shape {tuple(targets.shape)}; class indices must be (N,) "
            "(one-hot rows: use argmax(1))"
        )
    return _as_int64(part, "label", targets, len(data.class_names or ()))


def _as_int64(part: str, what: str, values: Tensor, count: int) -> Tensor:
    """Labels or tokens out of `count`; floating-point ones must be whole."""
    if values.is_floating_point():
        broken = values[~(values.isfinite() & (values == values.round()))]
        if len(broken):
            otherwise = "regression: set no class_names" if what == "label" else "other inputs: set no num_tokens"
            raise RequestError(
                f"load() returns {float(broken[0]):g} as a {part} {what}; "
                f"{what}s are whole numbers from 0 to {count - 1} ({otherwise})"
            )
    return values.to(torch.int64)


def _as_numbers(data: Declaration, part: str, targets: Tensor) -> Tensor:
    """Regression targets, `num_outputs` per sample, float32."""
    outputs = data.num_outputs
    if math.prod(targets.shape[1:]) != outputs:
        needed = "(N,)" if outputs == 1 else f"(N, {outputs})"
        raise RequestError(
            f"load() returns {part} targets of shape {tuple(targets.shape)}; "
            f"num_outputs = {outputs} without class_names needs {needed}"
        )
    return targets.to(torch.float32)
