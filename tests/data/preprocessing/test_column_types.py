"""What the columns and the target of a table are taken for, and why."""

import datetime
import re

import polars as pl
import pytest

from litlab.data.preprocessing.column_types import as_text, infer_column, infer_columns, numbers_in
from litlab.data.preprocessing.target import infer_target
from litlab.errors import RequestError

N = 200
LETTERS = [chr(97 + n % 26) for n in range(N)]


@pytest.mark.parametrize(
    ("name", "values", "kind", "reason"),
    [
        ("x", [n / 7 for n in range(N)], "number", "200 different numbers"),
        ("x", [n * n % 97 for n in range(N)], "number", "49 different whole numbers"),
        ("x", [str(n / 7) for n in range(N - 4)] + ["bad"] * 4, "number", r"4 of 200 are none \(bad\) and count as mi"),
        ("x", [f"{n},5" for n in range(N)], "number", "200 different numbers"),
        ("x", [n % 5 for n in range(N)], "category", r"whole numbers, only 5 different ones \(0, 1, 2, \.\.\.\)"),
        ("zip_code", [1000 + n % 50 for n in range(N)], "category", "50 different codes, by its name"),
        ("x", LETTERS, "category", r"26 different texts \(a, b, c, \.\.\.\)"),
        ("x", [n % 2 for n in range(N)], "boolean", "0 or 1"),
        ("x", ["Yes", "no"] * 100, "boolean", "Yes, no"),
        ("x", [True, False] * 100, "boolean", "true or false"),
        ("x", ["2020-01-31"] * 199 + ["2021-02-01"], "date", "dates such as 2020-01-31"),
        ("x", ["31/12/2020 10:15", "01/02/2021 11:00"] * 100, "date", "dates such as 31/12/2020 10:15"),
        ("x", [datetime.date(2020, 1, 1 + n % 28) for n in range(N)], "date", "dates such as 2020-01-01"),
        ("x", ["3"] * N, "drop", "constant: it is 3 in every row"),
        ("x", [None] * N, "drop", "it has no value"),
        ("x", list(range(N)), "drop", "identifier: it counts the rows"),
        ("customer_id", [n * 7919 % 10007 for n in range(N)], "drop", "identifier: its name says so"),
        ("x", [f"id-{n}" for n in range(N)], "drop", "identifier: almost every value occurs once"),
        ("x", [f"a long story {n} of many words" for n in range(N)], "drop", r"free text of 7 words; data\.col"),
    ],
)  # fmt: skip
def test_types_and_reasons(name, values, kind, reason):
    column = infer_column(pl.Series(name, values))
    assert column.kind == kind
    assert re.search(reason, column.reason), column.reason


def test_the_user_overrides_every_guess():
    frame = pl.DataFrame({"a": LETTERS, "b": list(range(N)), "c": [1.5] * N})
    columns = infer_columns(frame, {"b": "number", "a": "text"}, ["c"])
    assert [(each.kind, each.reason) for each in columns] == [
        ("text", "as data.columns.a says"), ("number", "as data.columns.b says"), ("drop", "as data.drop says"),
    ]  # fmt: skip


def test_a_type_of_which_no_value_is():
    for kind in ("number", "date", "boolean"):
        with pytest.raises(RequestError, match=rf"^data\.columns\.x={kind}: holds female, male; set category, text or"):
            infer_column(pl.Series("x", ["male", "female"]), kind)
    with pytest.raises(RequestError, match=r"^data\.columns\.x=float: must be one of number, category, boolean, date"):
        infer_column(pl.Series("x", [1, 2]), "float")
    assert infer_column(pl.Series("x", ["Yes", "no"]), "boolean").kind == "boolean"


def test_equal_values_are_equal_texts_and_numbers():
    assert as_text(pl.Series([3.0, None, 4.0])).to_list() == ["3", None, "4"]
    assert as_text(pl.Series([1.0, 2.5, None, -4.0, 0.1])).to_list() == ["1", "2.5", None, "-4", "0.1"]
    assert float(as_text(pl.Series([1e20]))[0]) == 1e20  # beyond whole numbers of 64 bits
    assert as_text(pl.Series([1.0, 2.5], dtype=pl.Float32)).to_list() == ["1", "2.5"]
    assert as_text(pl.Series(["3", "3.0", " x "])).to_list() == ["3", "3", "x"]
    assert numbers_in(pl.Series(["1", "1,5", "1e3", "x", "inf", None])).to_list() == [
        1.0,
        1.5,
        1000.0,
        None,
        None,
        None,
    ]
    assert numbers_in(pl.Series([True, False])).to_list() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["no", "yes"] * 20, "binary", ("no", "yes")),
        ([1, 2] * 20, "binary", ("1", "2")),
        ([0.0, 1.0] * 20, "binary", ("0", "1")),
        ([True, False] * 20, "binary", ("false", "true")),
        (["b", "a", "c"] * 20, "classification", ("a", "b", "c")),
        ([10, 9, 8, 11] * 20, "classification", ("8", "9", "10", "11")),
        ([1.0, 2.0, 5.0] * 20, "classification", ("1", "2", "5")),
        (list(range(40)), "regression", ()),
        ([1.5, 2.5, 3.0] * 20, "regression", ()),
        ([str(n) for n in range(100)], "regression", ()),
        ([3, 1, 2], "regression", ()),  # too few rows for classes
    ],
)
def test_the_task_follows_from_the_target(values, task, classes):
    target = infer_target(pl.Series("y", values))
    assert (target.task, target.classes) == (task, classes)
    encoded = target.encode(pl.Series("y", values))
    if classes:
        assert [classes[each] for each in encoded] == as_text(pl.Series(values)).to_list()
    else:
        assert encoded.to_list() == [float(each) for each in values]


def test_the_task_that_is_asked_for():
    numbers = pl.Series("y", [1, 2, 3] * 30)
    assert infer_target(numbers, "regression").classes == ()
    assert infer_target(pl.Series("y", ["a", "b"] * 9), "classification").classes == ("a", "b")
    for values, task, words in [
        (["a", "b", "c"] * 9, "binary", "task=binary: data.target=y has 3 different values; set task=classification"),
        (["a", "b", "c"] * 9, "regression", r"task=regression: data.target=y holds no numbers \(a, b, c\)"),
        (
            [n / 3 for n in range(90)],
            "classification",
            "90 different values in 90 rows .* are no classes; .* leave out",
        ),
    ]:
        with pytest.raises(RequestError, match=words):
            infer_target(pl.Series("y", values), task)
