"""The type of each column of a table, as a careful person would label it, and the reason."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from litlab.config.column_names import typed
from litlab.errors import RequestError
from litlab.escape import printable

KINDS = ("number", "category", "boolean", "date", "text", "drop")  # what data.columns.NAME= may say
CODES = 10  # different whole numbers that are taken for codes of categories
PER_CODE = 20  # rows of each, on average
MANY = 1000  # different texts of a category, at most
DENSE = 5  # times as large as the number of rows, at most, is the range of a column that counts them
SURE = 20  # rows; in fewer, values may be all different by chance
WORDS = 4  # on average, of a free text
TRUE, FALSE = ("true", "yes", "t", "y", "1", "on"), ("false", "no", "f", "n", "0", "off")
BOOLEANS = [set(pair) for pair in zip(TRUE, FALSE, strict=True)]
# Names of whole numbers that count nothing: codes, and identifiers.
CODE_NAME = re.compile(
    r"(^|[\W_])(zip|postal|postcode|code|type|class|category|kind|cluster|region)([\W_]?code)?$", re.I
)
ID_NAME = re.compile(
    r"(^|[\W_])(id|uuid|guid|index|idx|key|rownames?|row|no|nr|number|unnamed.*|column 0)$|[a-z]I[dD]$", re.I
)
DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y%m%d", "%d %b %Y", "%b %d, %Y")
TIMES = (
    "",
    " %H:%M",
    " %H:%M:%S",
    "T%H:%M:%S",
    "T%H:%M",
    " %H:%M:%S%.f",
    "T%H:%M:%S%.f",
    "T%H:%M:%S%.fZ",
    "T%H:%M:%SZ",
)
DATE_HEAD = re.compile(r"[\dA-Z][\w ,./:+-]{5,}")


@dataclass(frozen=True)
class Column:
    """What a column holds.

    Attributes:
        name: of the column.
        kind: one of `KINDS`; drop: left out.
        reason: why it is taken for that, or left out.
        distinct: different values in the training split.
        missing: missing values in the training split.
        format: of the texts of a date, as strptime takes it; empty where the file has dates.
    """

    name: str
    kind: str
    reason: str
    distinct: int = 0
    missing: int = 0
    format: str = ""


def infer_columns(frame: pl.DataFrame, given: Mapping[str, str], dropped: Sequence[str]) -> list[Column]:
    """The type of every column of the training split.

    Args:
        frame: its rows; missing values are null.
        given: types by name, which are not guessed.
        dropped: names of columns to leave out.
    """
    return [infer_column(frame[name], "drop" if name in dropped else given.get(name)) for name in frame.columns]


def infer_column(values: pl.Series, given: str | None = None) -> Column:
    """The type of one column; `given`, if it is."""
    known = values.drop_nulls()
    distinct = known.n_unique()
    form = "" if known.dtype.is_temporal() else _date_format(known) if known.dtype == pl.String else ""
    if given is not None:
        _refuse_unfit(known, given, form)
        kind, reason = given, "as data.drop says" if given == "drop" else f"as data.columns.{values.name} says"
    elif not distinct:
        kind, reason = "drop", "it has no value"
    elif distinct == 1:
        only = f"constant: it is {_shown(known[0])} in every row"
        kind, reason = ("drop", only) if not values.null_count() else ("boolean", "one value, or missing")
    elif known.dtype == pl.Boolean:
        kind, reason = "boolean", "true or false"
    elif known.dtype.is_temporal() or form:
        kind, reason = "date", f"dates such as {_shown(known[0])}"
    elif known.dtype.is_numeric():
        kind, reason = _of_numbers(known, distinct)
    elif known.dtype == pl.String or known.dtype in (pl.Categorical, pl.Enum):
        kind, reason = _of_texts(known.cast(pl.String), distinct)
    else:
        kind, reason = "drop", f"its values are neither numbers nor texts but {known.dtype}"
    return Column(values.name, kind, printable(reason), distinct, values.null_count(), form)


def _refuse_unfit(known: pl.Series, given: str, form: str) -> None:
    """Refuse a type of which no value is.

    Raises:
        RequestError: it is no number, no date, or neither true nor false.
    """
    if given not in KINDS:
        raise RequestError(
            f"data.columns.{printable(known.name)}={printable(given)}: must be one of {', '.join(KINDS)}"
        )
    texts = {each.lower() for each in as_text(known).head(1000)}
    fits = {
        "number": numbers_in(known).null_count() < len(known),
        "date": bool(form) or known.dtype.is_temporal(),
        "boolean": any(texts <= each for each in BOOLEANS),
    }
    if len(known) and not fits.get(given, True):
        raise RequestError(
            f"data.columns.{printable(known.name)}={given}: holds {some_values(known)}; set category, text or drop"
        )


def _of_numbers(known: pl.Series, distinct: int) -> tuple[str, str]:
    if not known.dtype.is_integer() and not bool((known == known.round()).all()):
        return "number", f"{distinct:,} different numbers"
    count = len(known)
    if {str(int(each)) for each in known.head(1000).unique()} <= {"0", "1"} and distinct == 2:
        return "boolean", "0 or 1"
    if count >= SURE and distinct == count:
        numbers = known.cast(pl.Float64)  # of the training rows, in the file's order, with gaps where the others are
        if bool((numbers.diff().drop_nulls() > 0).all()) and numbers[-1] - numbers[0] < DENSE * count:
            return "drop", "identifier: it counts the rows"
        if ID_NAME.search(known.name):
            return "drop", "identifier: its name says so, and each value occurs once"
    if ID_NAME.search(known.name) and known.name.lower().endswith("id") and distinct > 0.5 * count:
        return "drop", "identifier: its name says so, and most values occur once"
    if CODE_NAME.search(known.name) and 2 < distinct <= min(MANY, count / 2):
        return "category", f"{distinct:,} different codes, by its name"
    if distinct <= CODES and count >= PER_CODE * distinct:
        return "category", f"whole numbers, only {distinct} different ones ({some_values(known)})"
    return "number", f"{distinct:,} different whole numbers"


def _of_texts(known: pl.Series, distinct: int) -> tuple[str, str]:
    count = len(known)
    if {each.lower() for each in known.head(1000).unique()} in BOOLEANS and distinct == 2:
        return "boolean", some_values(known)
    broken = numbers_in(known).is_null()
    if broken.sum() <= 0.05 * count:
        wrong = known.filter(broken)
        reason = f"{distinct:,} different numbers"
        if len(wrong):
            reason += f"; {len(wrong):,} of {count:,} are none ({some_values(wrong)}) and count as missing"
        return "number", reason
    words = float(known.head(2000).str.count_matches(r"\S+").mean() or 0)  # type: ignore[arg-type]
    if words >= WORDS and distinct > max(SURE, 0.1 * count):
        return "drop", f"free text of {words:.0f} words; {typed(known.name, 'text')} uses its words"
    if count >= SURE and distinct > 0.9 * count:
        return "drop", "identifier: almost every value occurs once"
    if distinct > max(MANY, 0.5 * count) or (distinct > 0.5 * count and count >= SURE):
        return "drop", f"{distinct:,} different texts in {count:,} rows are no categories"
    return "category", f"{distinct:,} different texts ({some_values(known)})"


def _date_format(known: pl.Series) -> str:
    """The format that fits every text; empty if none does."""
    some = known.head(200)
    if not len(some) or not all(DATE_HEAD.fullmatch(each) and any(map(str.isdigit, each)) for each in some):
        return ""
    if known.name and numbers_in(some).null_count() == 0 and not re.search(r"date|day|time", known.name, re.I):
        return ""  # 20200131 may be a number
    for day in DATES:
        for time in TIMES:
            if not as_dates(some, day + time).null_count() and not as_dates(known, day + time).null_count():
                return day + time
    return ""


def as_dates(values: pl.Series, form: str) -> pl.Series:
    """Points in time, without a zone; null where a text is none of this format."""
    if values.dtype == pl.String:
        return values.str.strptime(pl.Datetime, form or "%Y-%m-%d", strict=False)
    if values.dtype == pl.Time:
        return (values.cast(pl.Int64) // 1000).cast(pl.Datetime("us"))  # since midnight
    return values.cast(pl.Datetime, strict=False)


def numbers_in(values: pl.Series) -> pl.Series:
    """Numbers, float64; null where a text is none, or it is not finite. A text may have a decimal comma."""
    if values.dtype == pl.String:
        plain = values.str.strip_chars()
        commas = plain.str.contains(r"^[-+]?\d+,\d+$")
        values = pl.select(pl.when(commas).then(plain.str.replace(",", ".")).otherwise(plain)).to_series()
    numbers = values.cast(pl.Float64, strict=False).alias(values.name)
    return numbers.set(numbers.is_finite().not_(), None)


def as_text(values: pl.Series) -> pl.Series:
    """Texts that are equal for equal values, whatever the others are: 3, 3.0 and "3" are all "3"."""
    if values.dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)
        text = pl.when(whole == values).then(whole.cast(pl.String)).otherwise(values.fill_nan(None).cast(pl.String))
        return pl.select(text.alias(values.name)).to_series()
    if values.dtype == pl.String:
        return values.str.strip_chars().str.replace(r"^([-+]?\d+)\.0$", "${1}")
    return values.cast(pl.String)


def some_values(values: pl.Series, shown: int = 3) -> str:
    """The most common values: "a", "b", ..."""
    counts = as_text(values.drop_nulls()).value_counts(sort=True)
    names = sorted(counts.head(shown)[counts.columns[0]].to_list())
    return ", ".join(map(_shown, names)) + (", ..." if len(counts) > shown else "")


def _shown(value: object) -> str:
    text = printable(str(value))
    return text if len(text) <= 24 else f"{text[:21]}..."
