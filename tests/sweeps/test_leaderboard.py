"""The leaderboard: which rows, in which order, with which numbers."""

import csv

import pytest
from sweep_results import by_rate, failed, job, rank, save

from litlab.sweeps.job import Job
from litlab.sweeps.leaderboard import read_and_rank
from litlab.sweeps.planned import save as save_plan
from litlab.sweeps.report import headline, table
from litlab.sweeps.summary import as_csv, jobs_as_csv, summarize

LR = "optimizer.lr"


def shown(board):
    return [(row.rank, *row.values, row.best.mean, row.best.n, row.status) for row in board.rows]


def test_one_row_per_setting_over_its_seeds_the_best_first():
    jobs = [
        *(job({LR: 0.1}, best, best - 0.1, seed=seed) for seed, best in enumerate((0.75, 0.5, 1.0))),
        *(job({LR: 0.01}, 0.875, 0.5, seed=seed, seconds=seed + 1) for seed in (0, 1)),
        job({LR: 0.001}, 0.25),
    ]
    board = rank(jobs)
    assert board.columns == [LR]
    assert shown(board) == [
        (1, 0.01, 0.875, 2, "completed"),
        (2, 0.1, 0.75, 3, "completed"),
        (3, 0.001, 0.25, 1, "completed"),
    ]
    best, second, single = board.rows
    assert (best.metric, best.mode, best.best.std, best.test.mean, best.seconds) == ("val/accuracy", "max", 0, 0.5, 1.5)
    assert second.best.std == pytest.approx(0.25) and single.best.std is None
    assert (second.test.mean, second.test.n) == (pytest.approx(0.65), 3)
    assert board.jobs == {"completed": 6} and board.warnings == []


def test_a_test_on_the_training_split_is_marked():
    board = rank([job({LR: 0.1}, 0.9, 0.5), job({LR: 0.2}, 0.8, 0.75, test_split="train")])
    assert board.warnings == ["1 setting is tested on the training split (data.test_on_train=true)"]
    assert [row[3] for row in table(board, 9)] == ["test/accuracy", "0.5000", "0.7500 (train)"]
    for text, splits in ((as_csv(board), ["test", "train"]), (jobs_as_csv(board), ["", "train"])):
        assert [row["test_split"] for row in csv.DictReader(text.splitlines())] == splits


def test_ties_share_a_rank_in_the_order_of_the_settings():
    board = rank(by_rate({0.3: 0.5, 0.02: 0.9, 0.1: 0.9, 0.003: 0.9}))
    assert [(row.rank, *row.values) for row in board.rows] == [(1, 0.003), (1, 0.02), (1, 0.1), (4, 0.3)]
    assert board.winners == board.rows[:1]
    tie = "3 settings tie for the best val/accuracy; "
    assert board.warnings == [tie + "val/loss does not separate the first two either"]
    losses = {0.003: 0.5, 0.02: 0.25, 0.1: 0.375}
    board = rank([job({LR: lr}, 0.9, metrics={"val/loss": loss}) for lr, loss in losses.items()])
    assert [(row.rank, *row.values) for row in board.rows] == [(1, 0.02), (1, 0.1), (1, 0.003)]
    assert board.warnings == [tie + "the first has the lowest val/loss"]
    losses = {"val/loss": 0.25}
    later, first = (job({LR: lr}, 0.9, metrics=losses, started=f"2026-11-22T0{lr}:00") for lr in (1, 2))
    later["started"], first["started"] = first["started"], later["started"]
    assert [row.values for row in rank([later, first]).rows] == [(2,), (1,)], "the first job's, as the live line says"
    seeds = [job({LR: 1}, 0.9, seed=seed, metrics={"val/loss": loss}) for seed, loss in enumerate((0.5, 0.25, 0.25))]
    assert rank(seeds).rows[0].best_job.value("seed") == 1


def test_a_setting_of_which_seeds_are_lost_is_not_ranked():
    """Neither where they diverged nor where they completed without a value; n counts the values."""
    lost = [job({LR: 0.1}, 0.99), failed({LR: 0.1}, seed=1), failed({LR: 0.1}, seed=2)]
    board = rank([*lost, *by_rate({0.2: [0.85, 0.93, None], 0.3: [0.5, 0.5, 0.5]})])
    assert shown(board) == [
        (1, 0.3, 0.5, 3, "completed"),
        (None, 0.1, 0.99, 1, "1 of 3 completed"),
        (None, 0.2, pytest.approx(0.89), 2, "2 of 3 have a value"),
    ]
    assert [row.n for row in board.rows] == [3, 1, 2]
    assert board.winners == board.rows[:1]
    assert board.warnings == [
        "2 settings are not ranked: some of their seeds have no value, and the mean of the others would be too good"
    ]
    assert rank(lost).winners == [] and rank(lost).metrics == [("val/accuracy", "max")]


def test_the_start_of_a_process_is_not_in_the_seconds():
    first, second = job(seconds=14.7, seconds_training=1.5), job(seed=1, seconds=1.7, seconds_training=0.5)
    assert rank([first, second]).rows[0].seconds == 1.0
    assert rank([job(seconds=3.0), second]).rows[0].seconds == 1.75, "an earlier version has no seconds_training"


def test_unfinished_settings_come_last_each_with_what_became_of_it():
    jobs = [
        failed({LR: 3}, "RunError: the loss\nis not finite", seed=0),
        failed({LR: 3}, "RunError: no room", seed=1),
        failed({LR: 2}, status="interrupted", error="stopped by SIGTERM"),
        failed({LR: 1}, status="died", error=None),
        failed({LR: 0.5}, status="running", error=None),
        failed({LR: 0.5}, seed=1),
        *by_rate({0.1: [0.5, 0.7]}),
        failed({LR: 0.1}, seed=2, monitor={"metric": "val/accuracy", "mode": "max", "best": 0.99, "epoch": 1}),
    ]
    board = rank(jobs)
    assert shown(board) == [
        (None, 0.1, pytest.approx(0.6), 2, "2 of 3 completed"),
        (None, 0.5, None, 0, "running"),
        (None, 1, None, 0, "died"),
        (None, 2, None, 0, "interrupted"),
        (None, 3, None, 0, "failed: RunError: the loss is not finite; RunError: no room"),
    ]
    assert board.rows[0].error == "RunError: diverged"
    assert board.jobs == {"failed": 4, "interrupted": 1, "died": 1, "running": 1, "completed": 2}


def test_without_validation_nothing_is_ranked_by_the_test():
    board = rank([job({LR: lr}, None, test) for lr, test in ((0.1, 0.7), (0.01, 0.6), (1, 0.9))])
    assert shown(board) == [(None, lr, None, 0, "completed") for lr in (0.01, 0.1, 1)]
    assert [row.test.mean for row in board.rows] == [0.6, 0.7, 0.9]
    assert board.winners == []
    (warning,) = board.warnings
    assert warning.startswith("3 settings are not ranked") and "data.val_size" in warning
    assert rank([job(metric="test/accuracy")]).winners == []


@pytest.mark.parametrize("nothing", [None, float("nan"), float("inf")])
def test_a_value_that_is_not_finite_does_not_count(nothing):
    (row,) = rank([job({LR: 0.1}, nothing, nothing, seed=0), job({LR: 0.1}, 0.5, 0.25, seed=1)]).rows
    assert (row.best.mean, row.best.n, row.test.mean, row.test.n) == (0.5, 1, 0.25, 1)
    (row,) = rank([job({LR: 0.1}, None, metrics={"val/accuracy": 0.25})]).rows
    assert (row.rank, row.best.mean) == (1, 0.25), "without a best epoch the last validation counts"


def test_of_the_same_job_the_completed_one_counts_else_the_newest():
    early, late = "2026-11-22T01:00:00+00:00", "2026-11-22T02:00:00+00:00"
    for status in ("failed", "interrupted", "died", "running"):
        done = rank([job({LR: 0.1}, 0.5, started=early), failed({LR: 0.1}, started=late, status=status)])
        assert shown(done) == [(1, 0.1, 0.5, 1, "completed")] and done.jobs == {"completed": 1}
    newest = rank([job({LR: 0.1}, 0.6, started=late), job({LR: 0.1}, 0.5, started=early)])
    assert shown(newest) == [(1, 0.1, 0.6, 1, "completed")]
    again = rank([failed({LR: 0.1}, "new", started=late), failed({LR: 0.1}, "old", started=early)])
    assert shown(again) == [(None, 0.1, None, 0, "failed: new")]


def test_a_job_that_could_not_be_composed_is_the_later_one_of_the_same_overrides():
    broken = failed({"model": "mlpp"}, "no such model", settings=None, choices={})
    assert shown(rank([broken, job({"model": "mlp"})])) == [
        (1, "mlp", 0.9, 1, "completed"),
        (None, "mlpp", None, 0, "failed: no such model"),
    ]
    mended = job({"model": "mlpp"}, started="2027-01-01")
    assert shown(rank([broken, mended])) == [(1, "mlpp", 0.9, 1, "completed")]
    again = rank([broken, broken | {"settings": {}, "error": "again"}])
    assert shown(again) == [(None, "mlpp", None, 0, "failed: again")]


def test_the_columns_of_joined_sweeps_are_those_of_all_also_what_one_did_not_type():
    board = rank([job({LR: 0.1}, 0.9), job({"data.batch_size": 32}, 0.8), job({"model": "cnn"}, 0.7)])
    assert board.columns == [LR, "data.batch_size", "model"]
    assert [row.values for row in board.rows] == [(0.1, 64, "mlp"), (0.01, 32, "mlp"), (0.01, 64, "cnn")]


def test_what_else_differs_becomes_a_column_choices_first():
    other = job({LR: 0.1}, 0.8)
    other["choices"] = other["choices"] | {"data": "mnist"}
    other["settings"]["data"] = {"_target_": "litlab.data.mnist.MNIST", "batch_size": 64, "normalize": True}
    assert rank([job({LR: 0.1}), other]).columns == [LR, "data"]
    longer = job({LR: 0.1}, 0.7)
    longer["settings"]["trainer"] = {"max_epochs": 9}
    board = rank([job({LR: 0.1}), longer, job({LR: 0.2}, 0.6)])
    assert board.columns == [LR, "trainer.max_epochs"]
    assert [row.values for row in board.rows] == [(0.1, 8), (0.1, 9), (0.2, 8)]


def test_what_differs_is_a_column_also_where_the_swept_settings_tell_the_rows_apart():
    """But no member of a choice that is shown, no copy of a setting, and nothing that follows from the choices."""

    def other(lr, **choices):
        result = job({LR: lr}, lr)
        result["choices"] = result["choices"] | choices
        result["settings"]["scheduler"] = {"max_lr": lr}
        result["settings"]["task"] = {"monitor": f"val/of-{result['choices']['data']}"}
        for group, choice in choices.items():
            result["settings"][group] |= {"_target_": choice, "of": choice}
        return result

    board = rank([other(0.1), other(0.2, optimizer="adam", data="mnist"), other(0.3, data="mnist")])
    assert board.columns == [LR, "data", "optimizer"]
    assert board.rows[1].values == (0.2, "mnist", "adam")
    typed = other(0.4, data="mnist", optimizer="adam")
    typed["overrides"] += ["optimizer=adam", "paths.log_dir=elsewhere"]
    assert rank([other(0.1), typed]).columns == [LR, "data", "optimizer"], "typed: it follows from nothing"
    assert rank([other(0.1), other(0.4, data="mnist", optimizer="adam")]).columns == [LR, "data"]
    edited = other(0.5)
    edited["settings"]["model"]["hidden"] = [8]
    assert rank([other(0.1), other(0.2), edited]).columns == [LR, "model.hidden"]
    broken = failed({"model": "mlpp"}, "no such model", settings={}, choices={})
    assert rank([other(0.1), other(0.2), broken]).columns == [LR, "model"]
    for number in range(50):
        edited["settings"]["model"][f"new{number}"] = number
    board = rank([other(0.1), edited])
    assert len(board.columns) == 30 and board.warnings == ["22 more settings differ, but have no column"]


def test_several_metrics_are_ranked_each_by_itself():
    jobs = [job({LR: lr}, best, metric="val/rmse", mode="min", started="1") for lr, best in ((1, 0.25), (2, 0.125))]
    jobs += [job({LR: lr}, best, started="2") for lr, best in ((3, 0.5), (4, 0.75))]
    board = rank(jobs[::-1])
    assert board.metrics == [("val/rmse", "min"), ("val/accuracy", "max")]
    assert [(row.rank, *row.values) for row in board.rows] == [(1, 2), (2, 1), (1, 4), (2, 3)]
    assert [row.values for row in board.winners] == [(2,), (4,)]


def test_results_of_earlier_versions_are_told_apart_by_what_was_typed():
    old = []
    for lr, seed, best in ((0.1, 0, 0.5), (0.1, 1, 0.75), (1e-3, 0, 0.25)):
        old.append(job({LR: lr, "model": "mlp"}, best, seed=seed))
        del old[-1]["settings"], old[-1]["swept"]
    board = rank(old)
    assert board.columns == [LR]
    assert shown(board) == [(1, 0.1, 0.625, 2, "completed"), (2, 0.001, 0.25, 1, "completed")]
    assert rank([*old, job({LR: 0.2}, 0.875)]).rows[0].values == (0.2,)


def test_the_winner_is_trained_by_what_was_typed_without_the_seed_of_several():
    words = ["sweep=lr_batch", "hydra/launcher=joblib", "+model.extra=1", "seed=0", "optimizer.lr=0.1"]
    one = job({LR: 0.1}, overrides=words)
    assert rank([one]).rows[0].overrides == ["+model.extra=1", "seed=0", "optimizer.lr=0.1"]
    assert rank([one, job({LR: 0.1}, seed=1)]).rows[0].overrides == ["+model.extra=1", "optimizer.lr=0.1"]


def test_what_has_not_begun_is_counted_and_is_no_survivor(tmp_path):
    """9 jobs are planned: of 0.1 all are there, of 0.2 one, of 0.3 (which an earlier session left) none."""
    settings = [{LR: lr} for lr in (0.1, 0.2, 0.3)]
    results = [[job(each, 0.5 + each[LR], seed=seed) for seed in range(3)] for each in settings]
    folder = save(tmp_path, [*results[0], results[1][1], job(settings[2], 0.1, seed=7)])
    assert summarize([folder]).jobs == {"completed": 5}
    planned = [Job(each["overrides"], each["settings"]) for group in results for each in group]
    planned += [Job(["x=1"], error=ValueError())]  # which has a result
    save_plan(folder, [*planned, planned[0]], total=11)
    board = summarize([folder])
    assert board.jobs == {"completed": 5, "not started": 5} and board.unstarted == 0, "0.3 has a row"
    assert shown(board)[:2] == [(1, 0.1, 0.6, 3, "completed"), (2, 0.3, 0.1, 1, "completed")]
    assert shown(board)[2:] == [(None, 0.2, 0.7, 1, "1 of 3 completed")]
    row = board.rows[2]
    assert [each.value("seed") for each in row.jobs] == [0, 1, 2] and row.replicates == ["seeds"]
    assert row.overrides == ["optimizer.lr=0.2"]
    assert "jobs: 5 completed, 5 not started." in (folder / "summary.md").read_text()
    assert len((folder / "jobs.csv").read_text().splitlines()) == 6
    save_plan(folder, planned, total=30)  # of a search, which plans as it goes
    board = summarize([folder])
    assert board.jobs["not started"] == 25 and board.unstarted == 0


def test_the_heading_counts_the_planned_settings_of_a_stopped_sweep(tmp_path):
    planned = [job({LR: lr}, seed=seed) for lr in (0.1, 0.2, 0.3, 0.4) for seed in (0, 1)]
    folder = save(tmp_path, planned[:3])
    jobs = [Job(each["overrides"], each["settings"]) for each in planned]
    for total, heading in ((8, "2 of 4 settings of optimizer.lr; "), (12, "2 settings of optimizer.lr; ")):
        save_plan(folder, jobs, total=total)
        assert headline(read_and_rank([folder])).startswith(heading), "a search lists its jobs as it goes"


@pytest.mark.parametrize(
    "text", ["", "[", "7", "\0", "[" * 9999, '{"total": 9}', '{"jobs": [7], "total": 1}', '{"jobs": [], "total": []}']
)
def test_an_odd_plan_says_nothing(tmp_path, text):
    save(tmp_path, [job({LR: 0.1})])
    (tmp_path / "planned.json").write_text(text)
    assert summarize([tmp_path]).jobs == {"completed": 1}
