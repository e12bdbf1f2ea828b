"""Confidence intervals and the comparison of two rows, by numbers of tables and of scipy's own tests."""

import csv

import pytest
from scipy import stats
from sweep_results import job, rank

from litlab.sweeps.columns import distinguishing_settings
from litlab.sweeps.confidence import comparison, interval
from litlab.sweeps.job_result import JobResult
from litlab.sweeps.report import as_markdown, print_leaderboard
from litlab.sweeps.summary import as_csv, jobs_as_csv

LR = "optimizer.lr"
A, B = [0.90, 0.92, 0.91, 0.95], [0.89, 0.90, 0.90, 0.93]


def rows(*values, seeds=0, **more):
    """A row for each list, a job for each value; the second list's seeds begin at `seeds`."""
    jobs = [
        job({LR: number + 1.0}, value, seed=place + number * seeds, **more)
        for number, row in enumerate(values)
        for place, value in enumerate(row)
    ]
    return rank(jobs).rows


def test_the_interval_of_a_mean_is_students():
    width = 4.3027 / 3**0.5  # t of 2 at 97.5%
    (row,) = rows([1.0, 2.0, 3.0], metric="val/loss")
    assert interval(row) == pytest.approx((2 - width, 2 + width), abs=1e-4)
    assert interval(rows([1.0, 1.0])[0]) is interval(rows([0.7, 0.7 + 1e-9, 0.7])[0]) is None  # no spread
    assert interval(rows([1.0])[0]) is None


def test_an_interval_ends_where_the_metric_ends():
    width = 4.3027 / 3**0.5
    for metric, low, high in (("accuracy", 0, 1), ("r2", -3.7, 1), ("rmse", 0, 4.7), ("other", -3.7, 4.7)):
        (row,) = rows([-0.5, 0.5, 1.5], metric=f"val/{metric}")
        assert interval(row) == pytest.approx((max(0.5 - width, low), min(0.5 + width, high)), abs=1e-4)


def test_two_rows_are_compared_pair_by_pair():
    first, second = rows(A, B)
    low, high = stats.ttest_rel(A, B).confidence_interval(0.95)
    assert (f"{low:.2g}", f"{high:.2g}") == ("0.0058", "0.024")
    told = "beats the second by 0.015 (95% interval 0.0058 to 0.024, paired over 4 seeds)"
    assert comparison(first, second) == f"the first row {told}"
    losses = rows([-a for a in A], [-b for b in B], metric="val/loss", mode="min")
    assert comparison(*losses) == f"the first row {told}"


def test_without_common_seeds_they_are_compared_by_welch():
    low, high = stats.ttest_ind(A, B, equal_var=False).confidence_interval(0.95)
    assert comparison(*rows(A, B, seeds=9)) == (
        f"the second row may be as good: the first leads by 0.015 (95% interval {low:.2g} to {high:.2g}, "
        "not paired: the seeds differ)"
    )
    assert comparison(*rows(A, A[:2])) is None  # two values may agree by chance


def test_equal_runs_do_not_differ():
    told = "the first row and the second do not differ: they are equal in all runs"
    for seeds in (0, 9):
        assert comparison(*rows([1.0] * 3, [1.0] * 3, seeds=seeds)) == told
    assert comparison(*rows(A, [a + 1e-8 for a in A])) == told
    assert comparison(*rows([1.0] * 3, [0.75] * 3)) == (
        "the first row beats the second by 0.25 (the same in all runs, paired over 3 seeds)"
    )
    assert comparison(*rows([0.5] * 3, [0.75] * 3, seeds=9, metric="val/loss", mode="min")) == (
        "the first row beats the second by 0.25 (the same in all runs, not paired: the seeds differ)"
    )


def test_folds_are_replicates_whose_training_samples_are_shared():
    jobs = [
        job({LR: lr, "data.folds": 5, "data.fold": fold}, best, run_dir=f"s/{lr}-{fold}")
        for lr, values in ((0.1, [0.8, 0.9, 0.85, 0.8, 0.9]), (0.2, [0.7, 0.8, 0.75, 0.7, 0.8]))
        for fold, best in enumerate(values)
    ]
    board = rank(jobs)
    assert board.columns == [LR, "data.folds"] and [row.n for row in board.rows] == [5, 5]
    results = [JobResult.of(each) for each in jobs]
    assert len({each.identity(replicates=False) for each in results}) == 2
    assert distinguishing_settings(results[:5:4]) == [LR, "data.folds"]
    plain = stats.t.interval(0.95, 4, 0.85, stats.sem([0.8, 0.9, 0.85, 0.8, 0.9]))
    wider = ((1 / 5 + 1 / 4) / (1 / 5)) ** 0.5  # Nadeau and Bengio 2003
    assert interval(board.rows[0])[1] - 0.85 == pytest.approx((plain[1] - 0.85) * wider)
    text = as_markdown(board)
    assert "Ranked by the mean over folds of the best" in text and "data.fold=" not in text
    assert "The first row beats the second by 0.1 (the same in all runs, paired over 5 folds)." in text
    (first, _) = csv.DictReader(as_csv(board).splitlines())
    assert float(first["best_low"]) == pytest.approx(interval(board.rows[0])[0])
    assert jobs_as_csv(board).startswith("run_dir,status,seed,data.fold,optimizer.lr,")


def test_the_terminal_tells_whether_it_is_chance(tmp_path, capsys):
    jobs = [job({LR: lr}, best, seed=s) for lr, values in ((1, A), (2, B)) for s, best in enumerate(values)]
    print_leaderboard(rank(jobs), tmp_path)
    assert "the first row beats the second by 0.015 (95% interval" in " ".join(capsys.readouterr().out.split())
