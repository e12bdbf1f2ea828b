"""Rows of a table are found by their columns' names, and bad cells by their numbers."""

import datetime

import polars as pl
import pytest
import torch

from litlab.data.frames import prepare_frame
from litlab.data.preprocessing.spec import DataSpec
from litlab.errors import RequestError


def spec(**known):
    usual = {"name": "Own", "input_shape": (2,), "num_outputs": 1, "feature_names": ("a", "b"), "target_name": "y"}
    names = ("class_names", "num_tokens", "pixel_max", "mean", "std")
    return DataSpec(**{**dict.fromkeys(names), "eval_batch_size": 8, **usual, **known})


@pytest.mark.parametrize(
    "frame",
    [
        {"a": [1.5, 2.0], "b": [3, -4]},
        {"b": [3, -4], "id": ["x", "y"], "a": [1.5, 2.0]},
        {" b": ["3", " -4e0 "], "a ": ["1.5", "2"]},
    ],
)
def test_columns_are_found_by_name(frame):
    rows = prepare_frame(spec(mean=(1.0, 3.0), std=(0.5, 2.0)), pl.DataFrame(frame))
    assert rows.inputs.tolist() == [[1.0, 0.0], [2.0, -3.5]] and rows.inputs.dtype == torch.float32
    assert (rows.numbers, rows.faults, rows.extra) == ([0, 1], {}, ["id"] if "id" in frame else [])


def test_bad_cells_are_told_by_number_and_the_others_are_used():
    frame = pl.DataFrame({"a": ["1", "x\x1b", "", None, "1e39", "inf", "6"], "b": ["1"] * 6 + ["2"]})
    rows = prepare_frame(spec(), frame)
    assert rows.inputs.tolist() == [[1.0, 1.0], [6.0, 2.0]] and rows.numbers == [0, 6]
    assert rows.faults == {
        1: r"column 'a' holds 'x\x1b', which is no number",
        2: "column 'a' is empty",
        3: "column 'a' is empty",
        4: "column 'a' holds '1e39', which is no number",
        5: "column 'a' holds 'inf', which is no number",
    }
    days = pl.DataFrame({"a": [datetime.date(2020, 1, 1)], "b": [[1]]})
    rows = prepare_frame(spec(), days)
    assert rows.inputs.shape == (0, 2) and rows.faults == {0: "column 'a' holds '2020-01-01', which is no number"}


def test_tokens_are_whole_numbers():
    rows = prepare_frame(spec(num_tokens=5), pl.DataFrame({"a": [4.0, 0.5, 5.0], "b": [0, 0, 0]}))
    assert rows.inputs.tolist() == [[4, 0]] and rows.inputs.dtype == torch.int64
    assert rows.faults[1] == "column 'a' holds '0.5', which is no number from 0 to 4" and 2 in rows.faults


@pytest.mark.parametrize(
    ("known", "frame", "message"),
    [
        ({}, {"a": [1], "bb": [2]}, r"^input: the table has no column 'b' \(did you mean bb\?\); it has a, bb$"),
        ({}, {}, "^input: the table has no columns 'a', 'b'; it has none$"),
        ({"feature_names": None}, {"a": [1]}, "^input: the table has no columns 'column 0', 'column 1'; it has a$"),
        ({"input_shape": (1, 2, 2)}, {"a": [1]}, "^a table has rows .* trained on images of 2x2 with 1 channel$"),
    ],
)
def test_a_table_of_another_kind_is_refused(known, frame, message):
    with pytest.raises(RequestError, match=message):
        prepare_frame(spec(**known), pl.DataFrame(frame))
