"""data=table beside scikit-learn: the same rows, and a table that says what is missed."""

import polars as pl
import pytest

from litlab.benchmark.tables import MODELS, line, measure_tables, section, sklearn_scores, write_table
from litlab.errors import RequestError

ROW = {"table": "iris", "model": "mlp", "seconds": 1.25} | {
    "litlab": [0.9, 1.0],
    **{"mlp": [0.9, 0.9], "mlp_train": [0.8, 0.9], "hgb": [1.0, 1.0]},
}


def test_a_row_says_what_is_missed():
    shown = "| iris | 0.9500 (`model=mlp`), misses HGB | 0.9000 | 0.8500 | +0.0500 ± 0.0500 | 1.0000 | 0.9700 | 2 |"
    assert line(ROW) == shown
    assert "), misses MLP, misses HGB |" in line(ROW | {"litlab": [0.8, 0.8]})
    assert "), ties MLP, misses HGB | 0.9000 | 0.8500 | -0.0100 ± 0.0300 |" in line(ROW | {"litlab": [0.86, 0.92]})
    assert "misses" not in line(ROW | {"litlab": [0.97, 0.97]})
    assert section([]) == [] and section([ROW])[0].endswith(line(ROW))


def test_tables_are_written_and_others_refused(tmp_path):
    frame = pl.read_csv(write_table("iris", tmp_path, ""))
    assert frame.shape == (150, 5) and frame["target"].n_unique() == 3
    assert set(MODELS) == {"iris", "wine", "breast_cancer", "diabetes", "digits", "california"}
    with pytest.raises(RequestError, match=r"^irs: there is no such table; choose from iris, wine, "):
        next(measure_tables(["irs"], tmp_path, tmp_path, 1, ""))


@pytest.mark.slow
def test_scikit_learn_learns_from_all_rows_but_the_test_split(tmp_path):
    scores = sklearn_scores(write_table("iris", tmp_path, ""), 0)
    assert scores == dict.fromkeys(("mlp", "mlp_train", "hgb"), pytest.approx(0.9333, abs=0.07))
