"""How a text file with a table is laid out, told from its beginning: encoding, delimiter, decimal sign and header."""

import csv
import gzip
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAD = 2**18  # characters from which a text file's layout is told
DELIMITERS = (",", ";", "\t", "|")
NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*")


@dataclass(frozen=True)
class Layout:
    """How a text file is written."""

    encoding: str
    delimiter: str
    decimal_comma: bool
    names: tuple[str, ...]  # of the columns; empty without a header

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of polars.read_csv."""
        return {
            "separator": self.delimiter,
            "decimal_comma": self.decimal_comma,
            "encoding": "utf8" if self.encoding.startswith("utf-8") else self.encoding,
            "has_header": bool(self.names),
            "new_columns": list(self.names) or None,
        }


def text_layout(file: Path | bytes, header: bool = True) -> Layout:
    """Tell how a text file, or its content, is written, from its beginning.

    Raises:
        ValueError: it is no text, its columns have no names, or two have the same.
    """
    encoding, text = _decoded(file[:HEAD] if isinstance(file, bytes) else _head(file))
    if (first := text.lstrip("\r\n").split("\n", 1)[0]).startswith(("<!DOCTYPE", "<html", "{", "[{")):
        raise ValueError(f"is not a table: it begins with {first[:20]!r}")
    delimiter = _delimiter(text)
    rows = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1] or text), delimiter=delimiter))
    rows = [row for row in rows if row]
    if not rows:
        raise ValueError("is empty")
    names, values = (_names(rows[0], delimiter), rows[1:]) if header else ((), rows)
    cells = [cell for row in values[:200] for cell in row if cell.strip()]
    # A comma within numbers, where it does not separate columns.
    commas = sum(DECIMAL_COMMA.fullmatch(cell) is not None for cell in cells)
    points = sum("." in cell and NUMBER.fullmatch(cell) is not None for cell in cells)
    return Layout(encoding, delimiter, delimiter != "," and commas > points, names)


def ragged_line(path: Path) -> str:
    """The first line that has more cells than the header, in words; empty if there is none."""
    layout = text_layout(path)
    with (gzip.open if path.name.endswith(".gz") else open)(path, "rt", encoding=layout.encoding) as stream:
        for number, row in enumerate(csv.reader(stream, delimiter=layout.delimiter), start=1):
            if number > 1 and len(row) > len(layout.names):
                return (
                    f"line {number} has {len(row)} cells, and the header {len(layout.names)}; a cell that holds "
                    f"{layout.delimiter!r} must be in double quotes"
                )
    return ""


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    with (gzip.open if packed else open)(path, "rb") as stream:
        return bytes(stream.read(HEAD))


def _decoded(head: bytes) -> tuple[str, str]:
    """Encoding and text of a file's beginning: UTF-8, with a byte order mark or without; UTF-16; Korean cp949; or else
    cp1252.
    """
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16", head[: len(head) // 2 * 2].decode("utf-16", errors="ignore")
    for magic, kind in {b"PK": "a zip or Excel file", b"\x89PNG": "an image", b"%PDF": "a PDF"}.items():
        if head.startswith(magic):
            raise ValueError(f"is {kind}, not text")
    if b"\0" in head:
        raise ValueError("is a binary file, not text")
    try:
        return "utf-8-sig", head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(head) - error.start < 4 and len(head) == HEAD:  # cut within a character
            return "utf-8-sig", head[: error.start].decode("utf-8-sig")
        if _is_korean(head):
            return "cp949", head.decode("cp949", errors="ignore")
        return "cp1252", head.decode("cp1252", errors="replace")


def _is_korean(head: bytes) -> bool:
    """Whether a text is cp949, as Korean Excel writes it: all pairs of bytes are characters, and most are syllables."""
    try:
        text = head[: head.rfind(b"\n") + 1 or None].decode("cp949")
    except UnicodeDecodeError:
        return False
    others = [each for each in text if not each.isascii()]
    return sum("가" <= each <= "힣" for each in others) > 0.5 * len(others)


def _delimiter(text: str) -> str:
    """The delimiter with which the first lines have the most columns, all the same number of them."""
    lines = text.splitlines()[:50]
    lines = lines[:-1] if len(text) >= HEAD and len(lines) > 1 else lines
    best, most = ",", 1
    for each in DELIMITERS:
        widths = [len(row) for row in csv.reader(lines, delimiter=each) if row]
        usual = max(set(widths), key=widths.count) if widths else 0
        if widths and usual > most and widths[0] == usual and widths.count(usual) >= 0.8 * len(widths):
            best, most = each, usual
    return best


def _names(row: Sequence[str], delimiter: str) -> tuple[str, ...]:
    names = [name.strip() or f"column {number}" for number, name in enumerate(row)]
    if len(row) > 1 and all(NUMBER.fullmatch(name) for name in row):
        raise ValueError(f"its first line holds numbers ({', '.join(row[:3])}, ...), not names; set data.header=false")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"several columns are called {', '.join(twice)}; each needs a name of its own")
    return tuple(names)
