"""What all pictures are drawn on and with: figures, colours, axes; and how one becomes a file."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from litlab.escape import printable
from litlab.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Array = NDArray[Any]

# Okabe and Ito's colours, which stay apart for colour-blind eyes (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8C8C8C"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9")  # of lines in one picture
SPLITS = (BLUE, ORANGE, GREEN)  # their colours: training, validation, test
MAX_LABELS = 20  # classes that are named and counted one by one
MAX_NAME = 20  # characters of a name that there is room for
# For what DejaVu Sans has no glyphs of, as Korean; of Debian's fonts-noto-cjk and fonts-nanum, of Windows, of macOS.
FALLBACKS = ("Noto Sans CJK JP", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo")


def new_figure(
    width: float, height: float, axes: bool = True, layout: Literal["tight"] | None = "tight"
) -> tuple[Figure, Axes]:
    """A figure of so many inches at 100 dots each, and its axes (None without `axes`)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout=layout)  # "constrained" takes twice the time
    return figure, figure.add_subplot() if axes else None  # type: ignore[return-value]


def shortened(name: str, length: int = MAX_NAME) -> str:
    """A name in one line of at most so many characters. Of a longer one both ends are left: names differ in either."""
    name = printable(" ".join(name.split()))
    return name if len(name) <= length else f"{name[: length // 2]}…{name[length // 2 + 1 - length :]}"


def told_apart(names: Sequence[str], length: int = MAX_NAME) -> list[str]:
    """The names of classes, `shortened`; those that would look the same have the class's number before them."""
    short = [shortened(name, length) for name in names]
    seen = Counter(short)
    return [
        text if seen[text] == 1 else f"{number}: {shortened(name, length - len(f'{number}: '))}"
        for number, (name, text) in enumerate(zip(names, short, strict=True))
    ]


def log_axis(axes: Axes, which: Literal["x", "y"] = "y") -> None:
    """A logarithmic axis with plain numbers; powers of ten as mathematics take a tenth of a second to set."""
    from matplotlib.ticker import NullFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def whole_numbers(axes: Axes, which: Literal["x", "y"]) -> None:
    """Ticks of a linear axis only at whole numbers: it counts."""
    from matplotlib.ticker import MaxNLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator("auto", steps=(1, 2, 5, 10), integer=True))


def pixels(figure: Figure) -> Array:
    """The figure drawn: shape (H, W, 3), 0 to 255. Its texts are no formulas: the dollars in a name are dollars."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.font_manager import fontManager
    from matplotlib.text import Text

    known = fontManager.get_font_names()
    fonts = ["DejaVu Sans", *(name for name in FALLBACKS if name in known)]
    with rc_context({"text.parse_math": False, "font.family": fonts}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")  # no font has it: it is drawn as a box
        for text in figure.findobj(Text):  # the context is for those that are made while it is drawn, as ticks are
            text.set(parse_math=False, fontfamily=fonts)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def save(image: Array, path: Path) -> None:
    """Write what `pixels` gives as a PNG file, whole or not at all."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(image).save(content, format="png", compress_level=4)
    write_whole(path, content.getvalue())
