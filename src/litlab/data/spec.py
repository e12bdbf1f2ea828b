"""The data specification that predictions need, kept as plain data in every checkpoint."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from litlab.data.samples import column_axis
from litlab.errors import RequestError

if TYPE_CHECKING:
    from litlab.data.encoding import TableEncoding

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
        table: how the columns of a table become the inputs, where `input_shape` counts what they become.
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
    table: "TableEncoding | None" = None

    def as_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists, which a checkpoint holds under weights_only=True; with `target_kind`."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        table = None if self.table is None else self.table.as_dict()
        return plain | {"target_kind": self.target_kind, "table": table}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "DataSpec":
        """The inverse of `as_dict`."""
        values: dict[str, Any] = {each.name: plain[each.name] for each in fields(cls) if each.name != "table"}
        if plain.get("table") is not None:
            from litlab.data.encoding import TableEncoding  # late, for polars takes a quarter of a second

            values["table"] = TableEncoding.from_dict(plain["table"])
        values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**values)

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
        if self.table is not None:
            return self.table.encode(self.table.frame(raw))
        try:
            given = raw if isinstance(raw, Tensor) else torch.as_tensor(np.require(raw, requirements=("C", "W")))
        except (TypeError, ValueError, RuntimeError) as error:
            raise RequestError(f"the inputs are not a numeric array ({type(raw).__name__})") from error
        inputs = self._batch(given.detach().cpu())
        if self.num_tokens is not None:
            if inputs.is_floating_point() or not ((inputs >= 0) & (inputs < self.num_tokens)).all():
                raise RequestError(f"the inputs must be tokens, whole numbers from 0 to {self.num_tokens - 1}")
            return inputs.to(torch.int64)
        is_pixels = inputs.dtype == torch.uint8 and len(self.input_shape) == 3
        inputs = inputs.to(torch.float32)
        if is_pixels and self.pixel_max is not None:
            inputs = inputs / self.pixel_max
        elif is_pixels:
            raise RequestError(
                f"data={self.name}: uint8 images need its pixel_max, what load() divides them by (255, perhaps), which "
                "its class does not set; set it and train again, or pass images as load() returns them"
            )
        if not inputs.isfinite().all():
            raise RequestError("the inputs hold NaN or infinite values")
        if self.mean is None or self.std is None:
            return inputs
        shape = [-1 if axis == column_axis(inputs) else 1 for axis in range(inputs.dim())]
        return (inputs - torch.tensor(self.mean).view(shape)).div_(torch.tensor(self.std).view(shape))

    def _batch(self, inputs: Tensor) -> Tensor:
        """(N, *input_shape), from one sample or several."""
        shape, given = self.input_shape, tuple(inputs.shape)
        layouts = [shape]
        if len(shape) == 3:
            channels, *size = shape
            layouts.insert(inputs.dtype != torch.uint8, (*size, channels))
            layouts += [tuple(size)] * (channels == 1)
        for layout in layouts:
            if given == layout or given[1:] == layout:
                batch = inputs.reshape(-1, *layout)
                if layout == shape or shape[0] == 1:
                    return batch.reshape(-1, *shape)
                return batch.permute(0, 3, 1, 2).contiguous()
        raise RequestError(
            f"the inputs have the shape {given}; the run was trained on {self.in_words}: it must be "
            + " or ".join(f"(N, {', '.join(map(str, layout))})" for layout in dict.fromkeys(layouts))
        )


def target_kind(class_names: Sequence[str] | None, num_outputs: int) -> str:
    """As `DataSpec.target_kind`."""
    return "regression" if class_names is None else "binary" if num_outputs == 1 else "classification"
