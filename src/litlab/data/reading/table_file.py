"""The rows of a table's file, of whichever format, and what is wrong with it. Read with polars."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from litlab.config.suggestions import suggestion
from litlab.data.reading.text_layout import NUMBER, ragged_line, text_layout
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


def _in_words(path: Path, error: BaseException) -> str:
    text = one_line(error)
    if isinstance(error, ValueError | PermissionError) and not isinstance(error, UnicodeError):
        return error.strerror if isinstance(error, PermissionError) else text  # type: ignore[return-value]
    if "found more fields" in text or "ragged" in text:
        return ragged_line(path) or "has lines with more cells than there are columns"
    if _suffix(path) in PARQUET:
        return f"cannot be read as parquet ({text[:80]})"
    return f"cannot be read as a table ({text[:100]})"


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
    has = ", ".join(f'"{name}"' if "," in name else name for name in map(printable, names[:8])) + (
        ", ..." if len(names) > 8 else ""
    )
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
