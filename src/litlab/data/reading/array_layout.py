"""What the axes of an array of samples mean, and the same array as litlab lays samples out."""

from typing import Literal, NamedTuple

from torch import Tensor

from litlab.errors import RequestError

Layout = Literal["table", "sequence", "time_channels", "channels_time", "image", "channels_first", "channels_last"]
AXES: dict[str, int] = {
    **{"table": 2, "sequence": 2, "time_channels": 3, "channels_time": 3, "image": 3},
    **{"channels_first": 4, "channels_last": 4},
}
MEANING = {
    "table": "(N, columns)",
    "sequence": "(N, time), one channel",
    "time_channels": "(N, time, channels)",
    "channels_time": "(N, channels, time)",
    "image": "(N, height, width), grey",
    "channels_first": "(N, channels, height, width)",
    "channels_last": "(N, height, width, channels)",
}
COLOURS = (1, 3, 4)


class Laid(NamedTuple):
    """A layout, and why."""

    layout: str
    reason: str


def judge_layout(shape: tuple[int, ...], is_bytes: bool, given: str | None) -> Laid:
    """The layout of inputs of this shape.

    Args:
        shape: (N, ...).
        is_bytes: they are uint8, as pixels are.
        given: the user's word, or None.

    Raises:
        RequestError: it does not fit the shape, or the shape has no meaning.
    """
    fitting = [name for name, axes in AXES.items() if axes == max(len(shape), 2)]
    if not fitting or min(shape) < 1:
        raise RequestError(f"data.inputs: have the shape {shape}; samples are rows, sequences or images, (N, ...)")
    if given is not None:
        if given not in fitting:
            raise RequestError(f"data.layout={given}: means {MEANING[given]}, but the inputs are {shape}")
        return Laid(given, "as data.layout says")
    if len(shape) <= 2:
        return Laid("table", "two axes: rows and columns")
    if len(shape) == 3:
        _, first, second = shape
        if is_bytes or first == second:
            return Laid("image", "bytes" if is_bytes else "height and width are equal")
        longer = "the longer axis is taken for time"
        return Laid("time_channels" if first > second else "channels_time", longer)
    if shape[1] in COLOURS or shape[3] not in COLOURS:
        return Laid("channels_first", f"the second axis has {shape[1]}")
    return Laid("channels_last", f"the last axis has {shape[3]}")


def laid_out(inputs: Tensor, layout: str) -> Tensor:
    """A view of inputs as litlab lays samples out: channels first of images, and last of sequences."""
    match layout:
        case "table":
            return inputs.reshape(len(inputs), -1)
        case "sequence":
            return inputs.unsqueeze(2)
        case "channels_time":
            return inputs.permute(0, 2, 1)
        case "image":
            return inputs.unsqueeze(1)
        case "channels_last":
            return inputs.permute(0, 3, 1, 2)
        case _:
            return inputs
