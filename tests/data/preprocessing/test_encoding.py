"""From a table's columns to a network's numbers: learned from the training split alone, the same for new rows."""

import json
import math

import numpy as np
import polars as pl
import pytest
import torch

from litlab.data.frames import prepare_frame
from litlab.data.inputs import open_inputs
from litlab.data.preprocessing.encoding import TableEncoding
from litlab.data.preprocessing.spec import DataSpec
from litlab.data.preprocessing.target import Target
from litlab.errors import RequestError

TARGET = Target("y", "regression", "", ())


def fitted(scaling="standard", given=None, **columns):
    return TableEncoding.fit(pl.DataFrame(columns), TARGET, given or {}, (), scaling)


def encoded(encoding, **columns):
    return encoding.encode(encoding.frame(columns)).numpy().round(4).tolist()


def test_numbers_are_scaled_filled_and_flagged():
    encoding = fitted(x=[0.5, 1.0, 2.5, None])
    mean, std = 4 / 3, math.sqrt(((0.5 - 4 / 3) ** 2 + (1 / 3) ** 2 + (2.5 - 4 / 3) ** 2) / 3)
    assert encoding.names == ("x", "x missing")
    filled = (1.0 - mean) / std  # by the median
    rows = encoded(encoding, x=["0,5", "NA", "2.5", "word", 1e9])
    assert rows == [
        pytest.approx(row, abs=1e-4)
        for row in [[(0.5 - mean) / std, 0], [filled, 1], [(2.5 - mean) / std, 0], [filled, 1], [10, 0]]
    ]


def test_quantiles_make_a_skewed_number_normal():
    values = np.exp(np.random.default_rng(0).normal(size=2000))
    made = fitted("quantile", x=values).encode(pl.DataFrame({"x": values}))[:, 0]
    assert abs(float(made.mean())) < 1e-3 and abs(float(made.std()) - 1) < 1e-3
    assert abs(float((made**3).mean())) < 0.05  # skewness; of the values it is 6
    ranks = torch.from_numpy(values).argsort()
    assert bool((made[ranks].diff() >= 0).all())
    zeros = fitted("quantile", x=[0.0] * 90 + [n + 0.5 for n in range(10)])
    assert len(set(zeros.encode(pl.DataFrame({"x": [0.0, 0.0, 5.5]}))[:, 0].tolist())) == 2


def test_categories_are_one_hot_or_embedded_and_unknown_ones_zeros():
    encoding = fitted(given={"c": "category"}, c=["a", "b", "a", None])
    assert encoding.names == ("c=(missing)", "c=a", "c=b") and not encoding.embeddings
    assert encoded(encoding, c=["b", None, "new"]) == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]
    codes = fitted(given={"c": "category"}, c=[3, 1, 3, 1])
    assert encoded(codes, c=["3", "1.0", 2]) == [[0, 1], [1, 0], [0, 0]]
    words = [f"w{n // 3:03}" for n in range(150)]
    many = fitted(given={"c": "category"}, x=[n * n / 2 for n in range(150)], c=[*words[:-1], "once"])
    assert many.names == ("x", "c") and many.embeddings == ((1, 51),)
    assert [row[1] for row in encoded(many, x=[0, 0, 0], c=["w000", "w049", "once"])] == [1, 50, 0]


def test_a_number_is_the_same_category_whatever_is_in_its_batch(tmp_path):
    encoding = fitted(given={"c": "category"}, c=[1.0, 3.0, 1.0, 3.0])
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"c": [1.0, 3.0, 1.0, 2.5]}).write_parquet(path, row_group_size=2)
    inputs = open_inputs([path], spec(encoding))
    batches = list(inputs.batches(2))
    assert [batch.inputs.tolist() for batch in batches] == [[[1, 0], [0, 1]], [[1, 0], [0, 0]]]
    assert [batch.unseen for batch in batches] == [{}, {("c", "2.5"): 1}]
    assert fitted(given={"c": "category"}, c=[1.0, 2.5, 1.0, 2.5]).names == ("c=1", "c=2.5")


def test_categories_that_an_older_litlab_wrote_are_read():
    classes = Target("y", "classification", "", ("1", "2.5"))
    encoding = TableEncoding.fit(pl.DataFrame({"c": [1.0, 2.5] * 2}), classes, {"c": "category"})
    old = encoding.as_dict()
    old["encoders"][0]["values"] = old["target"]["classes"] = ["1.0", "2.5"]
    assert TableEncoding.from_dict(old) == encoding


def test_categories_that_the_training_split_did_not_teach_are_counted():
    encoding = fitted(given={"c": "category"}, c=["a", "b"] * 2, x=[0.5, 1.5, 2.5, 3.5])
    rows = encoding.frame({"c": ["new", "a ", None, "new", "NA", "b"], "x": [9.5] * 6})
    assert encoding.unseen(rows) == {("c", "new"): 2, ("c", "(missing)"): 2}
    codes = fitted(given={"c": "category"}, c=[3, 1, None, 1])
    assert codes.unseen(codes.frame({"c": ["3", "1.0", None, 2]})) == {("c", "2"): 1}
    rows = pl.DataFrame({"c": ["new", "a", "new"], "x": ["0.5", "word", "word"]})
    found = prepare_frame(spec(encoding), rows)  # a bad row is not predicted, and so not counted
    assert found.numbers == [0] and found.unseen == {("c", "new"): 1}


def test_truth_dates_and_words():
    encoding = fitted(b=["yes", "no"] * 20)
    assert encoded(encoding, b=["Yes", "no", True, 0]) == [[1], [0], [1], [0]]
    told = encoding.unreadable(encoding.frame({"b": ["YES", "maybe", None, "1.0", 2, False]}))
    assert told == {1: "column 'b' holds 'maybe', which is no boolean", 4: "column 'b' holds '2', which is no boolean"}
    only = fitted(m=["x", None] * 20)  # one value, or missing
    assert only.unreadable(only.frame({"m": ["x", "other", None]})) == {}
    dates = fitted(d=["2020-01-01", "2021-12-31", "2020-06-15"])
    assert dates.names == ("d year", "d month", "d weekday", "d hour", "d days")
    made = dates.encode(dates.frame({"d": ["2020-01-01", "2021-12-31", None]}))
    assert made[0, 0] < made[1, 0] and made[0, 4] < made[1, 4] and not made[2].any()
    words = fitted(given={"t": "text"}, t=["red house", "blue house", "red car"])
    one, same, other = words.encode(words.frame({"t": ["red house", "Red House!", "blue car"]}))
    assert torch.equal(one, same) and not torch.equal(one, other) and abs(float(one.norm()) - 1) < 1e-5


FRAME = {
    "x": [1.5, None, 2.5, 4.0] * 10,
    "c": ["a", "b", "a", None] * 10,
    "id": list(range(40)),
    "d": ["2020-01-02"] * 20 + ["2021-03-04"] * 20,
}


def spec(encoding):
    return DataSpec(
        "Table", (len(encoding.names),), 1, None, encoding.names, "y", None, None, None, None, 64, table=encoding
    )


def test_a_checkpoint_holds_it_as_plain_data():
    before = spec(TableEncoding.fit(pl.DataFrame(FRAME), TARGET))
    plain = json.loads(json.dumps(before.as_dict()))
    after = DataSpec.from_dict(plain)
    assert after == before
    assert torch.equal(after.prepare(pl.DataFrame(FRAME)), before.prepare(pl.DataFrame(FRAME)))
    del plain["table"]
    assert DataSpec.from_dict(plain).table is None  # a checkpoint of before tables


def test_new_rows_come_in_any_form():
    made = spec(TableEncoding.fit(pl.DataFrame(FRAME), TARGET))
    rows = [{"x": 1.5, "c": "a", "d": "2020-01-02"}, {"x": None, "c": "new", "d": "2021-03-04"}]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    expected = made.prepare(rows)
    assert expected.shape == (2, len(made.table.names)) and expected.dtype == torch.float32
    for form in (
        pl.DataFrame(rows),
        columns,
        [list(row.values()) for row in rows],
        np.array([list(row.values()) for row in rows], dtype=object),
    ):
        assert torch.equal(made.prepare(form), expected)
    assert torch.equal(made.prepare(rows[0]), expected[:1])
    with pytest.raises(RequestError, match=r"^the rows lack c: the run was trained on it$"):
        made.prepare({"x": [1.5], "d": ["2020-01-02"]})
    with pytest.raises(RequestError, match=r"^the rows are no table \(list\): pass a frame, a dict of columns, dicts"):
        made.prepare([[1, 2]])
    found = prepare_frame(made, pl.DataFrame(rows).with_columns(id=pl.lit(1), new=pl.lit("x")))
    assert torch.equal(found.inputs, expected) and found.extra == ["new"] and found.numbers == [0, 1]
    with pytest.raises(RequestError, match=r"has no column 'c'"):
        prepare_frame(made, pl.DataFrame({"x": [1.0], "d": ["2020-01-02"]}))


def test_nothing_to_learn_from():
    with pytest.raises(
        RequestError, match=r"^data\.target=y: no column is left to predict it from \(a: constant: it is 1"
    ):
        fitted(a=[1] * 30, id=list(range(30)))
