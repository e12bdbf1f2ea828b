"""A table's file: its format, delimiter, encoding and decimal sign, and what is wrong with it. Read with polars."""

import csv
import functools
import gzip
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from litlab.config.hydra_errors import suggestion
from litlab.errors import RequestError
from litlab.escape import one_line, printable

TEXT = (".csv", ".tsv", ".txt", ".tab", ".data")  # each perhaps followed by .gz
PARQUET, EXCEL = (".parquet", ".pq"), (".xlsx", ".xls", ".xlsb", ".ods")
FORMATS = "CSV, TSV (each perhaps as .gz), parquet and Excel"
MISSING = (  # pandas' spellings of a missing value, and three that data sets use
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "None", "n/a", "nan", "null", "?", "-", "."),
)
DIVIDING = ("split_column", "group", "time")  # settings that name a column which divides the rows
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
    remarks: tuple[str, ...]  # what is unusual about it

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


def read_table(
    file: str, missing: Sequence[str] = (), header: bool = True, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """The rows of a file, as polars reads them; missing values are null.

    Args:
        file: CSV, TSV, either with .gz, parquet, or Excel (with the extra "excel").
        missing: more spellings of a missing value than `MISSING`.
        header: whether the first line of a text file holds the columns' names.
        columns: only these; all by default.

    Raises:
        RequestError: there is no such file, or it is not such a table.
    """
    path = Path(file)
    try:
        if not path.is_file():
            raise ValueError(_absent(path))
        if not path.stat().st_size:
            raise ValueError("is empty")
        frame = _read(path, tuple(missing), header, columns)
        if not frame.height:
            raise ValueError("has a header but no rows")
    except pl.exceptions.ColumnNotFoundError as error:
        raise RequestError(f"data.file={printable(file)}: {one_line(error)}") from error
    except (ValueError, OSError, EOFError, pl.exceptions.PolarsError) as error:
        raise RequestError(f"data.file={printable(file)}: {printable(_in_words(path, error))}") from error
    return with_nulls(frame, missing)


def column_names(file: str, header: bool = True) -> list[str]:
    """The names of a file's columns, without reading its rows where the format allows."""
    path = Path(file)
    if _suffix(path) in PARQUET and path.is_file():
        try:
            return list(pl.read_parquet_schema(path))
        except (pl.exceptions.PolarsError, OSError):
            pass
    elif _suffix(path) in TEXT and path.is_file() and path.stat().st_size:
        try:
            names = list(text_layout(path, header).names)
        except (ValueError, OSError, EOFError) as error:
            raise RequestError(f"data.file={printable(file)}: {printable(_in_words(path, error))}") from error
        if names:
            return names
    return read_table(file, header=header).columns


def text_layout(path: Path, header: bool = True) -> Layout:
    """Tell how a text file is written, from its beginning.

    Raises:
        ValueError: it is no text, its columns have no names, or two have the same.
    """
    encoding, text = _decoded(_head(path))
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
    decimal_comma = delimiter != "," and commas > points
    remarks = [
        *([f"the delimiter is {delimiter!r}"] if delimiter != "," and not path.name.startswith(".tsv") else []),
        *(["numbers have a decimal comma"] if decimal_comma else []),
        *([f"it is read as {encoding}"] if not encoding.startswith("utf-8") else []),
    ]
    return Layout(encoding, delimiter, decimal_comma, names, tuple(remarks))


def _suffix(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return name[name.rfind(".") :] if "." in name else ""


def _absent(path: Path) -> str:
    if path.is_dir():
        tables = sorted(each.name for each in path.iterdir() if _suffix(each) in (*TEXT, *PARQUET, *EXCEL))
        return f"is a folder; name a file{f' in it, such as {path / tables[0]}' if tables else ''}"
    beside = [each.name for each in path.parent.iterdir() if each.is_file()] if path.parent.is_dir() else []
    return f"does not exist{suggestion(path.name, beside)}"


def _read(path: Path, missing: tuple[str, ...], header: bool, columns: Sequence[str] | None) -> pl.DataFrame:
    kind = _suffix(path)
    with path.open("rb") as stream:
        magic = stream.read(8)
    if kind in EXCEL:
        return _read_excel(path, columns)
    if kind in PARQUET or magic[:4] == b"PAR1":
        return pl.read_parquet(path, columns=None if columns is None else list(columns))
    if kind not in TEXT:
        raise ValueError(f"its name ends in {kind or 'nothing'}, and tables are {FORMATS}")
    layout = text_layout(path, header)
    if columns is not None and layout.names:
        columns = [each for each in layout.names if each in columns] or None
    settings: dict[str, Any] = layout.options | {"null_values": [*MISSING, *missing], "raise_if_empty": True}
    if columns is not None and layout.names:
        settings |= {"columns": [layout.names.index(each) for each in columns], "new_columns": None}
    for length in (10_000, None):  # rows whose values decide the types: all, where later ones are of another
        try:
            frame = pl.read_csv(path, infer_schema_length=length, **settings)
            return frame if columns is None else frame.rename(dict(zip(frame.columns, columns, strict=True)))
        except pl.exceptions.ComputeError as error:
            if length is None or "could not parse" not in str(error):
                raise
    raise AssertionError


def _read_excel(path: Path, columns: Sequence[str] | None) -> pl.DataFrame:
    try:
        frame = pl.read_excel(path, infer_schema_length=None)
    except ModuleNotFoundError as error:
        raise ValueError('Excel files need the extra "excel": pip install -e .[excel] -c constraints.txt') from error
    except Exception as error:  # fastexcel's own
        raise ValueError(f"cannot be read as an Excel file ({one_line(error)[:80]})") from error
    return frame if columns is None else frame.select(columns)


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    with (gzip.open if packed else open)(path, "rb") as stream:
        return bytes(stream.read(HEAD))


def _decoded(head: bytes) -> tuple[str, str]:
    """Encoding and text of a file's beginning: UTF-8, with a byte order mark or without; UTF-16; or else cp1252."""
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
        return "cp1252", head.decode("cp1252", errors="replace")


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


def _in_words(path: Path, error: BaseException) -> str:
    text = one_line(error)
    if isinstance(error, ValueError | PermissionError) and not isinstance(error, UnicodeError):
        return error.strerror if isinstance(error, PermissionError) else text  # type: ignore[return-value]
    if "found more fields" in text or "ragged" in text:
        return _ragged(path) or "has lines with more cells than there are columns"
    if _suffix(path) in PARQUET:
        return f"cannot be read as parquet ({text[:80]})"
    return f"cannot be read as a table ({text[:100]})"


def _ragged(path: Path) -> str:
    """The first line that has more cells than the header."""
    layout = text_layout(path)
    with (gzip.open if path.name.endswith(".gz") else open)(path, "rt", encoding=layout.encoding) as stream:
        for number, row in enumerate(csv.reader(stream, delimiter=layout.delimiter), start=1):
            if number > 1 and len(row) > len(layout.names):
                return (
                    f"line {number} has {len(row)} cells, and the header {len(layout.names)}; a cell that holds "
                    f"{layout.delimiter!r} must be in double quotes"
                )
    return ""


def with_nulls(frame: pl.DataFrame, missing: Sequence[str] = ()) -> pl.DataFrame:
    """Null where a text is blank or spells a missing value, or a number is NaN, infinite, or one of `missing`."""
    numbers = [float(each) for each in missing if NUMBER.fullmatch(each)]
    whole = [int(each) for each in numbers if each.is_integer()]
    changed = []
    for name, kind in frame.schema.items():
        column = pl.col(name)
        if kind == pl.String:
            column = column.str.strip_chars()
            is_known = column.is_in([*MISSING, *missing]).not_()
        elif kind.is_float():
            is_known = column.is_finite() & column.is_in(numbers).not_()
        elif kind.is_integer() and whole:
            is_known = column.is_in(whole).not_()
        else:
            continue
        changed.append(pl.when(is_known).then(column).alias(name))
    return frame.with_columns(changed) if changed else frame


def check_columns(settings: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse settings of data=table that name a column which the file does not have, or contradict each other.

    Raises:
        RequestError: a line for each.
    """
    asked = [(name, settings.get(name)) for name in ("target", *DIVIDING)]
    asked += [(name, each) for name in ("drop", "columns") for each in settings.get(name) or ()]
    has = ", ".join(map(printable, names[:8])) + (", ..." if len(names) > 8 else "")
    problems = [
        f"data.{setting}{'.' if setting == 'columns' else '='}{printable(str(name))}: there is no such column"
        f"{suggestion(str(name), names)}; there are {has}"
        for setting, name in asked
        if name is not None and name not in names
    ]
    target, given = settings.get("target"), [name for name in DIVIDING if settings.get(name) is not None]
    if target in (settings.get("drop") or ()):
        problems.append(f"data.drop=[{target}]: the target cannot be left out")
    if len(given) > 1:
        both = " and ".join(f"data.{name}={settings[name]}" for name in given)
        problems.append(f"{both}: cannot both divide the rows; leave one out")
    if settings.get("time") is not None and settings.get("folds"):
        problems.append(f"data.folds={settings['folds']}: folds mix what data.time puts in order; set data.val_size")
    if problems:
        raise RequestError("\n".join(problems))


def target_column(file: str, target: str, missing: tuple[str, ...] = (), header: bool = True) -> pl.Series:
    """A column of a file, without its missing values; read once while the file stays the same."""
    state = Path(file).stat()
    return _column(file, target, missing, header, (state.st_size, state.st_mtime_ns))


@functools.lru_cache(maxsize=4)
def _column(file: str, name: str, missing: tuple[str, ...], header: bool, state: tuple[int, int]) -> pl.Series:
    return read_table(file, missing, header, [name])[name].drop_nulls()
