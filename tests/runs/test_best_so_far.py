"""Which job of a sweep is the best so far."""

import json
import math

from litlab.runs.best_so_far import FILE, is_best_so_far


def test_only_a_better_job_is_the_best_so_far(tmp_path):
    values = [None, 0.5, 0.5, 0.4, math.nan, None, 0.6, math.inf]
    accuracy = [is_best_so_far(tmp_path, "val/accuracy", "max", value, None) for value in values]
    assert accuracy == [True, True, False, False, False, False, True, False]
    loss = [is_best_so_far(tmp_path, "val/loss", "min", value, value) for value in (2.0, 3.0, 1.0)]
    assert loss == [True, False, True]
    assert json.loads((tmp_path / FILE).read_text()) == {"val/accuracy": [-0.6, math.inf], "val/loss": [1.0, 1.0]}


def test_ties_are_broken_by_the_loss(tmp_path):
    jobs = [(0.5, None), (0.5, 0.25), (0.5, 0.5), (0.5, 0.25), (0.5, 0.125), (0.5, math.nan), (0.25, 0.0), (0.75, 9.0)]
    best = [is_best_so_far(tmp_path, "val/accuracy", "max", *job) for job in jobs]
    assert best == [True, True, False, False, True, False, False, True]


def test_a_file_of_anybodys_is_replaced(tmp_path):
    for text in ("[1]", "{", '{"val/loss": "low"}', '{"val/loss": [0.1]}', '{"val/loss": [0.1, "low"]}'):
        (tmp_path / FILE).write_text(text)
        assert is_best_so_far(tmp_path, "val/loss", "min", 1.0, 1.0)
