"""The truth in a table to predict: which column counts, and how predictions agree with it."""

import polars as pl
import pytest

from litlab.data.preprocessing.spec import DataSpec
from litlab.data.truth import find_truth

PRICES = {"target_name": "house value ($)"}
CLASSES = {"num_outputs": 2, "class_names": ("cat", "dog")}


def spec(**known):
    usual = {"name": "Own", "input_shape": (2,), "num_outputs": 1, "target_name": "target", "eval_batch_size": 8}
    others = ("class_names", "feature_names", "num_tokens", "pixel_max", "mean", "std")
    return DataSpec(**{**dict.fromkeys(others), **usual, **known})


@pytest.mark.parametrize(
    ("known", "columns", "name", "values"),
    [
        (PRICES, {"house value ($)": ["1.5", "2", ""]}, "house value ($)", [1.5, 2.0, None]),
        (PRICES, {" house value": [1, 2, 3]}, " house value", [1, 2, 3]),
        (PRICES, {"id": [7, 8, 9], "target": [1, 2, 3]}, "target", [1, 2, 3]),
        (PRICES, {"value": [1, 2, 3]}, None, None),
        (PRICES, {"target": ["a", "b", "c"]}, None, None),
        (PRICES | {"num_outputs": 2}, {"target": [1, 2, 3]}, None, None),
        (CLASSES, {"label": ["dog", " cat", "cow"]}, "label", [1, 0, None]),
        (CLASSES, {"class": ["1", "0", "2"]}, "class", [1, 0, None]),
        (CLASSES | {"class_names": ("1", "0")}, {"class": [1, 0, 2]}, "class", [0, 1, None]),
    ],
)
def test_the_targets_column_is_found(known, columns, name, values):
    found = find_truth(spec(**known), pl.DataFrame(columns), list(columns))
    if name is None:
        assert found is None
    else:
        assert (found.name, found.values.to_list()) == (name, values)


def test_numbers_have_a_residual_and_an_error():
    truth = find_truth(spec(**PRICES), pl.DataFrame({"target": [1.0, None, 5.0, 9.0]}), ["target"])
    shown = truth.beside(pl.DataFrame({"row": [0, 1, 2], "predicted house value ($)": [2.0, 2.0, 2.0]}))
    assert shown.rows() == [(0, 1.0, 2.0, 1.0), (1, None, 2.0, None), (2, 5.0, 2.0, -3.0)]
    assert shown.columns == ["row", "actual target", "predicted house value ($)", "residual"]
    assert truth.agreement(shown) == "beside the truth of 2 rows: RMSE 2.236, mean absolute error 2"
    assert truth.agreement(shown[1:2]) == ""


@pytest.mark.parametrize("end", ["", "_0"])
def test_classes_are_right_or_not(end):
    truth = find_truth(spec(**CLASSES), pl.DataFrame({"label": ["dog", "cat", "", "cat"]}), ["label"])
    predicted = pl.DataFrame({"row": [0, 2, 3], f"index{end}": [1, 0, 1], f"label{end}": ["dog", "cat", "dog"]})
    shown = truth.beside(predicted)
    assert shown["truth"].to_list() == ["dog", None, "cat"] and shown.columns[1] == "truth"
    assert truth.agreement(shown) == "beside the truth of 2 rows: 1 right (50.0%)"
