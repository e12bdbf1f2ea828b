"""Shared by all pictures: figures, colours, ticks and names, and writing a figure to a file."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from litlab.escape import one_line, printable
from litlab.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure


Array = NDArray[Any]

# Okabe and Ito's colour-blind safe palette (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8C8C8C"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9")  # of lines in one picture
SPLITS = (BLUE, ORANGE, GREEN)  # training, validation, test
MAX_LABELS = 20  # classes, or values on an axis, that are labelled one by one
MAX_NAME = 20  # characters of a name
# For scripts that DejaVu Sans lacks, such as Korean: Debian's fonts-noto-cjk and fonts-nanum, Windows, macOS.
FALLBACKS = ("Noto Sans CJK JP", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo")


def new_figure(width: float, height: float, axes: bool = True, tight: bool = True) -> tuple[Figure, Axes]:
    """A figure of the given size in inches at 100 dpi, `tight` within its labels; its axes (None without `axes`)."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import TightLayoutEngine

    # With layout="tight" all is measured twice, to the same end; "constrained" takes twice the time of that.
    whole: Any = None
    figure = Figure(figsize=(width, height), dpi=100, layout=TightLayoutEngine(rect=whole) if tight else None)
    return figure, figure.add_subplot() if axes else None  # type: ignore[return-value]


def shortened(name: str, length: int = MAX_NAME) -> str:
    """A name on one line, cut in the middle to at most `length` characters: names may differ at either end."""
    name = printable(one_line(name))
    return name if len(name) <= length else f"{name[: length // 2]}…{name[length // 2 + 1 - length :]}"


def distinct_names(names: Sequence[str], length: int = MAX_NAME) -> list[str]:
    """The `shortened` names of classes; those that would look the same are preceded by the class's number."""
    short = [shortened(name, length) for name in names]
    seen = Counter(short)
    return [
        text if seen[text] == 1 else f"{number}: {shortened(name, length - len(f'{number}: '))}"
        for number, (name, text) in enumerate(zip(names, short, strict=True))
    ]


def log_axis(axis: Axis) -> None:
    """Make an axis logarithmic, with plain numbers; powers of ten as mathematics take a tenth of a second to set."""
    from matplotlib.ticker import NullFormatter

    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def label_ticks(axis: Axis, positions: Sequence[float] | Array, labels: Sequence[str], most: int = MAX_LABELS) -> None:
    """Label at most `most` positions, evenly thinned out; long labels below the picture are slanted."""
    step = -(-len(labels) // most)
    axis.set_ticks(positions[::step], labels[::step])
    if axis.axis_name == "x" and is_slanted(labels):
        axis.set_tick_params(rotation=40, rotation_mode="xtick")


def is_slanted(labels: Sequence[str]) -> bool:
    """Whether labels are too long to stand side by side."""
    return max(map(len, labels)) > 7


def pixels(figure: Figure) -> Array:
    """Draw a figure: shape (H, W, 3), 0 to 255. Dollar signs are literal: its texts are not parsed as formulas."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.font_manager import fontManager
    from matplotlib.text import Text

    known = fontManager.get_font_names()
    fonts = ["DejaVu Sans", *(name for name in FALLBACKS if name in known)]
    with rc_context({"text.parse_math": False, "font.family": fonts}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")  # it is drawn as a box
        for text in figure.findobj(Text):  # the context is for texts that are made while drawing, such as ticks
            text.set(parse_math=False, fontfamily=fonts)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def png(image: Array) -> bytes:
    """An image from `pixels` as the content of a PNG file."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(image).save(content, format="png", compress_level=4)
    return content.getvalue()


def save(image: Array, path: Path) -> None:
    """Write an image from `pixels` as a PNG file, atomically."""
    write_atomic(path, png(image))
