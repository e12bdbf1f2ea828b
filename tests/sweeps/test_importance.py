"""What share of the metric's variance a setting explains."""

import numpy as np
import pytest
from sweep_results import failed, job, rank

from litlab.sweeps.importance import MIN_ROWS, importance

LR, BATCH, DROPOUT = "optimizer.lr", "data.batch_size", "model.dropout"


def shares(jobs):
    board = rank(jobs)
    return importance(board.columns, board.rows, "max")


def grid(value):
    return [
        job({LR: lr, BATCH: batch, "model": kind}, value(lr, batch, kind))
        for lr in (1, 2, 3) for batch in (16, 32) for kind in ("sgd", "adam")
    ]  # fmt: skip


def test_a_setting_that_decides_alone_has_all_and_the_others_nothing():
    found = shares([*grid(lambda lr, *_: lr / 10), failed({LR: 9, BATCH: 16})])
    assert found.pop((LR,)) == pytest.approx(1) and next(iter(found.values())) == 0
    assert {(BATCH,), ("model",)} <= found.keys() and all(share == 0 for share in found.values())


def test_two_settings_share_by_their_effects():
    """Of balanced main effects of -1, 0, 1 and of -1, 1 the variances are 2/3 and 1."""
    found = shares(grid(lambda lr, batch, _: lr + (1 if batch == 32 else -1)))
    within_lr, within_batch = 1.0, 2 / 3  # what is left of the variance, 5/3
    assert found[(LR,)] == pytest.approx(1 - within_lr * (11 / 9) / (5 / 3))
    assert found[(BATCH,)] == pytest.approx(1 - within_batch * (11 / 10) / (5 / 3))


def test_what_only_two_together_explain_is_theirs():
    found = shares(grid(lambda lr, batch, kind: (batch == 32) ^ (kind == "adam")))
    assert next(iter(found)) == (BATCH, "model") and found[BATCH, "model"] == pytest.approx(1)
    assert found[(BATCH,)] == found[("model",)] == 0


def test_drawn_numbers_are_parted_and_chance_explains_nothing():
    random = np.random.default_rng(0)
    rates, others = random.random((2, 60)).tolist()
    jobs = [job({LR: lr, DROPOUT: other}, lr) for lr, other in zip(rates, others, strict=True)]
    found = shares(jobs)
    assert found[(LR,)] == pytest.approx(1 - 1 / 16, abs=0.02), "the variance within a fourth of an even range"
    assert found[(DROPOUT,)] < 0.1


def test_a_diverged_row_does_not_hide_the_others():
    jobs = [job({LR: lr, BATCH: batch}, lr + 1, mode="min") for lr in (1, 2, 3, 4) for batch in (16, 32, 64)]
    board = rank([*jobs[:-1], job({LR: 4, BATCH: 64}, 1e9, mode="min")])
    assert importance(board.columns, board.rows, "min")[(LR,)] > 0.6, "without a limit it would be 0.1"


def test_nothing_is_told_of_too_little():
    few = [job({LR: number % 2, BATCH: number % 3}, number) for number in range(MIN_ROWS - 1)]
    assert shares(few) == {}
    assert shares([job({LR: number % 2}, number, seed=number) for number in range(20)]) == {}, "one setting"
    assert shares(grid(lambda *_: 0.5)) == {}, "no difference"
    distinct = [job({LR: number % 2, "model": f"m{number}", BATCH: number // 6}, number) for number in range(12)]
    assert {name for names in shares(distinct) for name in names} == {LR, BATCH}, "each model once"
