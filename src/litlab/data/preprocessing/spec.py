"""The data specification that predictions need, kept as plain data in every checkpoint."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

from litlab.data.preprocessing.appearance import WHITE, Appearance
from litlab.data.preprocessing.text_encoding import TextEncoding
from litlab.data.samples import column_axis, column_names
from litlab.data.stored import StoredInputs
from litlab.errors import RequestError

if TYPE_CHECKING:
    from litlab.data.preprocessing.encoding import TableEncoding

KEY = "data_spec"  # in a checkpoint


@dataclass
class DataSpec:
    """A data set's shapes, names and normalization, and the preprocessing of raw inputs.

    Attributes:
        name: of the data set's class.
        input_shape: of one sample.
        num_outputs: of the network.
        class_names: in the order of the outputs; None for a regression.
        feature_names: of the columns of a table, or the channels of a sequence.
        target_name: what a regression predicts, with its unit.
        num_tokens: inputs are tokens, int64, from 0 to num_tokens - 1; None: float32 numbers.
        pixel_max: divisor of raw uint8 images; None where the data set does not set it.
        mean, std: of the training split by column or channel, where inputs are normalized.
        eval_batch_size: samples per batch in the run's own validation and test.
        appearance: of the training images, to which image files are fitted; None for other samples, where `pixel_max`
            is, and in checkpoints that do not have it.
        table: how the columns of a table become the inputs, where `input_shape` counts what they become.
        text: how texts become tokens.
    """

    name: str
    input_shape: tuple[int, ...]
    num_outputs: int
    class_names: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None
    target_name: str
    num_tokens: int | None
    pixel_max: float | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    eval_batch_size: int
    appearance: Appearance | None = None
    table: "TableEncoding | None" = None
    text: TextEncoding | None = None

    def as_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists, which a checkpoint holds under weights_only=True; with `target_kind`."""
        plain: dict[str, Any] = _plain(asdict(self))
        table = None if self.table is None else self.table.as_dict()
        return plain | {"target_kind": self.target_kind, "table": table}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "DataSpec":
        """The inverse of `as_dict`; what an older litlab did not write is None.

        Raises:
            LookupError, TypeError, ValueError: it is not what `as_dict` writes; it may come from anyone.
        """
        names = [each.name for each in fields(cls) if each.name in plain or each.default is MISSING]
        values: dict[str, Any] = {name: plain[name] for name in names}
        if values.get("text") is not None:
            text = values["text"]
            values["text"] = TextEncoding(**text | {"ngrams": tuple(text["ngrams"])})
        if values.get("table") is not None:
            from litlab.data.preprocessing.encoding import TableEncoding  # late, for polars takes a quarter of a second

            values["table"] = TableEncoding.from_dict(values["table"])
        values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        if values.get("appearance") is not None:
            values["appearance"] = Appearance.from_dict(values["appearance"])
        for name, kind in get_type_hints(cls, localns={"TableEncoding": object}).items():
            if not _is_of(values.get(name), kind):
                raise ValueError(f"{KEY}.{name}: must be {kind}")
        spec = cls(**values)
        columns = len(column_names(spec)) if spec.mean or spec.std else 0
        if any(each is not None and len(each) != columns for each in (spec.mean, spec.std)):
            raise ValueError(f"{KEY}: mean and std must have {columns} values")
        return spec

    @property
    def target_kind(self) -> str:
        """Classification, binary (two classes with one output) or regression: the task for such targets."""
        return target_kind(self.class_names, self.num_outputs)

    @property
    def in_words(self) -> str:
        """The samples: images of 28x28 with 1 channel, or 8 columns."""
        shape = self.input_shape
        if len(shape) == 3:
            return f"images of {shape[1]}x{shape[2]} with {shape[0]} channel{'s' if shape[0] > 1 else ''}"
        if len(shape) == 1:
            return f"{shape[0]} column{'s' if shape[0] > 1 else ''}"
        return f"samples of {math.prod(shape)} values"

    def prepare(self, raw: Any) -> Tensor:
        """Raw inputs as the network takes them: converted, scaled and normalized as in training, to the bit.

        Args:
            raw: a tensor, or what numpy takes; one sample, or samples along the first axis. Rows of a table, sequences
                and tokens as the data set's `load` returns them; of a table with an encoding a frame, a dict of
                columns, dicts, or rows of its columns' values. Images likewise (channels first), or as image files
                hold them: uint8 (height, width), or with their channels last.

        Returns:
            (N, *input_shape), float32, or int64 for tokens.

        Raises:
            RequestError: another shape, or uint8 images where the data set does not say what they are divided by.
        """
        if isinstance(raw, StoredInputs):  # of the data set itself, which has the right shape
            return cast(Tensor, raw if self.mean is None else raw.normalized(*self._statistics(raw)))
        if self.text is not None and isinstance(raw, Sequence):
            return self.text.encode([raw] if isinstance(raw, str) else raw)
        if self.table is not None:
            return self.table.encode(self.table.frame(raw))
        try:
            given = raw if isinstance(raw, Tensor) else torch.as_tensor(np.require(raw, requirements=("C", "W")))
        except (TypeError, ValueError, RuntimeError) as error:
            raise RequestError(f"the inputs are not a numeric array ({type(raw).__name__})") from error
        inputs = self.as_batch(given.detach().cpu())
        if self.num_tokens is not None:
            return self._tokens(inputs, self.num_tokens)
        if inputs.dtype == torch.uint8 and len(self.input_shape) == 3:
            self._check_pixels(inputs)
        else:
            inputs = inputs.to(torch.float32)
        if not inputs.isfinite().all():
            raise RequestError("the inputs hold NaN or infinite values")
        return self.scale(inputs)

    def _tokens(self, inputs: Tensor, number: int) -> Tensor:
        if inputs.is_floating_point() or not ((inputs >= 0) & (inputs < number)).all():
            raise RequestError(f"the inputs must be tokens, whole numbers from 0 to {number - 1}")
        return inputs.to(torch.int64)

    def _check_pixels(self, inputs: Tensor) -> None:
        """Refuse uint8 images brighter than those of the training, and those of which the divisor is not known."""
        if self.appearance is not None and inputs.max() > self.appearance.levels:
            raise RequestError(
                f"the images have pixels up to {int(inputs.max())}; those of the training end at "
                f"{self.appearance.levels} (white): scale yours, or pass image files to scripts/predict.py"
            )
        if self.pixel_max is None:
            raise RequestError(
                f"data={self.name}: uint8 images need its pixel_max, what load() divides them by (255, perhaps), which "
                "its class does not set; set it and train again, or pass images as load() returns them"
            )

    def prepare_files(self, pixels: Tensor) -> Tensor:
        """Pixels of image files, uint8, (N, *input_shape), 0 to 255, as the network takes them.

        Raises:
            RequestError: as `prepare`; or the checkpoint does not say what the training images look like.
        """
        if self.appearance is None:
            raise RequestError(f"data={self.name}: the run kept no appearance of its images; train it again")
        if self.pixel_max is None or self.appearance.levels == WHITE:
            return self.prepare(pixels)
        return self.prepare(pixels * (self.appearance.levels / WHITE / self.pixel_max))

    def scale(self, inputs: Tensor) -> Tensor:
        """Valid inputs (N, *input_shape), float32 or pixels, divided and normalized as in training; unchecked.

        Exported models have it in their graph: torch.export cannot trace what depends on values.
        """
        if inputs.dtype == torch.uint8 and self.pixel_max is not None:
            inputs = inputs.to(torch.float32) / self.pixel_max
        if self.mean is None or self.std is None:
            return inputs
        mean, std = self._statistics(inputs)
        return (inputs - mean).div_(std)

    def _statistics(self, inputs: Tensor | StoredInputs) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, as they broadcast to inputs."""
        shape = [-1 if axis == column_axis(inputs) else 1 for axis in range(inputs.dim())]
        return torch.tensor(self.mean).view(shape), torch.tensor(self.std).view(shape)

    def layout(self, given: tuple[int, ...], is_bytes: bool) -> tuple[int, ...]:
        """How samples lie in an array of the shape `given`, one sample or several: `input_shape`, or as files hold it.

        Args:
            given: the array's shape.
            is_bytes: it is uint8.

        Raises:
            RequestError: it holds other samples.
        """
        layouts = [self.input_shape]
        if len(self.input_shape) == 3:
            channels, *size = self.input_shape
            layouts.insert(not is_bytes, (*size, channels))
            layouts += [tuple(size)] * (channels == 1)
        elif len(self.input_shape) == 2:
            time, channels = self.input_shape
            layouts += [(channels, time), *[(time,)] * (channels == 1)]
        for layout in layouts:
            if given == layout or given[1:] == layout:
                return layout
        raise RequestError(
            f"the inputs have the shape {given}; the run was trained on {self.in_words}: it must be "
            + " or ".join(f"(N, {', '.join(map(str, layout))})" for layout in dict.fromkeys(layouts))
        )

    def as_batch(self, inputs: Tensor) -> Tensor:
        """Samples in any `layout`, one or several, as (N, *input_shape)."""
        layout = self.layout(tuple(inputs.shape), inputs.dtype == torch.uint8)
        batch = inputs.reshape(-1, *layout)
        channels = self.input_shape[0 if len(self.input_shape) == 3 else -1]
        if layout == self.input_shape or channels == 1:
            return batch.reshape(-1, *self.input_shape)
        return batch.permute((0, 3, 1, 2) if len(layout) == 3 else (0, 2, 1)).contiguous()


def target_kind(class_names: Sequence[str] | None, num_outputs: int) -> str:
    """As `DataSpec.target_kind`."""
    return "regression" if class_names is None else "binary" if num_outputs == 1 else "classification"


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a value is of a field's type; numbers are finite, whole ones positive and of 32 bits."""
    if kind in (int, float):
        is_whole = type(value) is int and 0 < value < 2**31
        return is_whole or (kind is float and type(value) is float and math.isfinite(value))
    inner = get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_of(each, inner[0]) for each in value)
    return any(_is_of(value, each) for each in inner) if inner else isinstance(value, kind)


def _plain(value: Any) -> Any:
    """Lists instead of tuples, at any depth."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
