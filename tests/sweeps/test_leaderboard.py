"""The leaderboard: which rows, in which order, with which numbers."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from sweep_results import failed, job, save

from litlab.errors import RequestError
from litlab.sweeps.leaderboard import Leaderboard, rank, read, summarize

LR = "optimizer.lr"


def told(board: Leaderboard) -> list[tuple[Any, ...]]:
    return [(row.rank, *row.values, row.best.mean, row.best.n, row.status) for row in board.rows]


def test_one_row_per_setting_over_its_seeds_the_best_first() -> None:
    jobs = [
        *(job({LR: 0.1}, best, best - 0.1, seed=seed) for seed, best in enumerate((0.75, 0.5, 1.0))),
        *(job({LR: 0.01}, 0.875, 0.5, seed=seed, seconds=seed + 1) for seed in (0, 1)),
    ]
    board = rank(jobs)
    assert board.columns == [LR]
    assert told(board) == [(1, 0.01, 0.875, 2, "completed"), (2, 0.1, 0.75, 3, "completed")]
    best, second = board.rows
    assert (best.metric, best.mode, best.best.std, best.test.mean, best.seconds) == ("val/accuracy", "max", 0, 0.5, 1.5)
    assert second.best.std == pytest.approx(0.25)
    assert (second.test.mean, second.test.n) == (pytest.approx(0.65), 3)
    assert board.jobs == {"completed": 5} and board.remarks == []


def test_lower_is_better_where_the_mode_says_so() -> None:
    board = rank(
        [job({LR: lr}, best, metric="val/rmse", mode="min") for lr, best in ((0.1, 3.0), (0.2, 1.0), (0.3, 2.0))]
    )
    assert [row.values for row in board.rows] == [(0.2,), (0.3,), (0.1,)]
    assert board.metrics == [("val/rmse", "min")]


def test_ties_share_a_rank_in_the_order_of_the_settings() -> None:
    board = rank([job({LR: lr}, best) for lr, best in ((0.3, 0.5), (0.02, 0.9), (0.1, 0.9), (0.003, 0.9))])
    assert [(row.rank, *row.values) for row in board.rows] == [(1, 0.003), (1, 0.02), (1, 0.1), (4, 0.3)]
    assert board.winners == board.rows[:1]


def test_one_seed_has_no_deviation() -> None:
    (row,) = rank([job({LR: 0.1}, 0.9)]).rows
    assert (row.best.mean, row.best.std, row.best.n) == (0.9, None, 1)


def test_the_start_of_a_process_is_not_in_the_seconds() -> None:
    first, second = job(seconds=14.7, seconds_training=1.5), job(seed=1, seconds=1.7, seconds_training=0.5)
    assert rank([first, second]).rows[0].seconds == 1.0
    assert rank([job(seconds=3.0), second]).rows[0].seconds == 1.75, "an earlier version has no seconds_training"


def test_unfinished_settings_come_last_each_with_what_became_of_it() -> None:
    jobs = [
        failed({LR: 3}, "RunError: the loss\nis not finite", seed=0),
        failed({LR: 3}, "RunError: no room", seed=1),
        failed({LR: 2}, status="interrupted", error="stopped by SIGTERM"),
        failed({LR: 1}, status="died", error=None),
        failed({LR: 0.5}, status="running", error=None),
        failed({LR: 0.5}, seed=1),
        job({LR: 0.1}, 0.5, seed=0),
        job({LR: 0.1}, 0.7, seed=1),
        failed({LR: 0.1}, seed=2, monitor={"metric": "val/accuracy", "mode": "max", "best": 0.99, "epoch": 1}),
    ]
    board = rank(jobs)
    assert told(board) == [
        (1, 0.1, pytest.approx(0.6), 2, "2 of 3 completed"),
        (None, 0.5, None, 0, "running"),
        (None, 1, None, 0, "died"),
        (None, 2, None, 0, "interrupted"),
        (None, 3, None, 0, "failed: RunError: the loss is not finite; RunError: no room"),
    ]
    assert board.rows[0].error == "RunError: diverged"
    assert board.jobs == {"failed": 4, "interrupted": 1, "died": 1, "running": 1, "completed": 2}


def test_without_validation_nothing_is_ranked_by_the_test() -> None:
    board = rank([job({LR: lr}, None, test) for lr, test in ((0.1, 0.7), (0.01, 0.6), (1, 0.9))])
    assert told(board) == [(None, lr, None, 0, "completed") for lr in (0.01, 0.1, 1)]
    assert [row.test.mean for row in board.rows] == [0.6, 0.7, 0.9]
    assert board.winners == []
    (remark,) = board.remarks
    assert remark.startswith("3 settings are not ranked") and "data.val_size" in remark
    assert rank([job(metric="test/accuracy")]).winners == []


def test_without_a_best_epoch_the_last_validation_counts() -> None:
    (row,) = rank([job({LR: 0.1}, None, metrics={"val/accuracy": 0.25, "test/accuracy": 0.5})]).rows
    assert (row.rank, row.best.mean) == (1, 0.25)


@pytest.mark.parametrize("nothing", [None, float("nan"), float("inf")])
def test_a_value_that_is_no_number_does_not_count(nothing: float | None) -> None:
    (row,) = rank([job({LR: 0.1}, nothing, nothing, seed=0), job({LR: 0.1}, 0.5, 0.25, seed=1)]).rows
    assert (row.best.mean, row.best.n, row.test.mean, row.test.n) == (0.5, 1, 0.25, 1)


def test_of_the_same_job_the_completed_one_counts_else_the_newest() -> None:
    early, late = "2026-11-22T01:00:00+00:00", "2026-11-22T02:00:00+00:00"
    for status in ("failed", "interrupted", "died", "running"):
        done = rank([job({LR: 0.1}, 0.5, started=early), failed({LR: 0.1}, started=late, status=status)])
        assert told(done) == [(1, 0.1, 0.5, 1, "completed")] and done.jobs == {"completed": 1}
    newest = rank([job({LR: 0.1}, 0.6, started=late), job({LR: 0.1}, 0.5, started=early)])
    assert told(newest) == [(1, 0.1, 0.6, 1, "completed")]
    again = rank([failed({LR: 0.1}, "new", started=late), failed({LR: 0.1}, "old", started=early)])
    assert told(again) == [(None, 0.1, None, 0, "failed: new")]


def test_a_job_that_could_not_be_composed_is_the_later_one_of_the_same_overrides() -> None:
    broken = failed({"model": "mlpp"}, "no such model", settings=None, choices={})
    assert told(rank([broken, job({"model": "mlp"})])) == [
        (1, "mlp", 0.9, 1, "completed"),
        (None, "mlpp", None, 0, "failed: no such model"),
    ]
    mended = job({"model": "mlpp"}, started="2027-01-01")
    assert told(rank([broken, mended])) == [(1, "mlpp", 0.9, 1, "completed")]
    assert told(rank([broken, broken | {"settings": {}, "error": "again"}])) == [
        (None, "mlpp", None, 0, "failed: again")
    ]


def test_a_swept_group_is_one_column() -> None:
    board = rank([job({"model": model}) for model in ("mlp", "cnn")])
    assert board.columns == ["model"]
    assert [row.values for row in board.rows] == [("cnn",), ("mlp",)]


def test_joined_sweeps_have_the_columns_of_all_also_what_one_did_not_type() -> None:
    board = rank([job({LR: 0.1}, 0.9), job({"data.batch_size": 32}, 0.8), job({"model": "cnn"}, 0.7)])
    assert board.columns == [LR, "data.batch_size", "model"]
    assert [row.values for row in board.rows] == [(0.1, 64, "mlp"), (0.01, 32, "mlp"), (0.01, 64, "cnn")]


def test_what_else_differs_becomes_a_column_choices_first() -> None:
    other = job({LR: 0.1}, 0.8)
    other["choices"] = other["choices"] | {"data": "mnist"}
    other["settings"]["data"] = {"_target_": "litlab.data.mnist.MNIST", "batch_size": 64, "normalize": True}
    assert rank([job({LR: 0.1}), other]).columns == [LR, "data"]
    longer = job({LR: 0.1}, 0.7)
    longer["settings"]["trainer"] = {"max_epochs": 9}
    board = rank([job({LR: 0.1}), longer, job({LR: 0.2}, 0.6)])
    assert board.columns == [LR, "trainer.max_epochs"]
    assert [row.values for row in board.rows] == [(0.1, 8), (0.1, 9), (0.2, 8)]


def test_several_metrics_are_ranked_each_by_itself() -> None:
    jobs = [job({LR: lr}, best, metric="val/rmse", mode="min", started="1") for lr, best in ((1, 0.25), (2, 0.125))]
    jobs += [job({LR: lr}, best, started="2") for lr, best in ((3, 0.5), (4, 0.75))]
    board = rank(jobs)
    assert board.metrics == [("val/rmse", "min"), ("val/accuracy", "max")]
    assert [(row.rank, *row.values) for row in board.rows] == [(1, 2), (2, 1), (1, 4), (2, 3)]
    assert [row.values for row in board.winners] == [(2,), (4,)]


def test_results_of_earlier_versions_are_told_apart_by_what_was_typed() -> None:
    old = []
    for lr, seed, best in ((0.1, 0, 0.5), (0.1, 1, 0.75), (1e-3, 0, 0.25)):
        old.append(job({LR: lr, "model": "mlp"}, best, seed=seed))
        del old[-1]["settings"], old[-1]["swept"]
    board = rank(old)
    assert board.columns == [LR]
    assert told(board) == [(1, 0.1, 0.625, 2, "completed"), (2, 0.001, 0.25, 1, "completed")]
    assert rank([*old, job({LR: 0.2}, 0.875)]).rows[0].values == (0.2,)


def test_the_winner_is_trained_by_what_was_typed_without_the_seed_of_several() -> None:
    words = ["sweep=lr_batch", "hydra/launcher=joblib", "+model.extra=1", "seed=0", "optimizer.lr=0.1"]
    one = job({LR: 0.1}, overrides=words)
    assert rank([one]).rows[0].overrides == ["+model.extra=1", "seed=0", "optimizer.lr=0.1"]
    assert rank([one, job({LR: 0.1}, seed=1)]).rows[0].overrides == ["+model.extra=1", "optimizer.lr=0.1"]


def test_reading_bears_what_is_half_written_foreign_or_dead(tmp_path: Path) -> None:
    dead = {"status": "running", "process": {"host": "elsewhere", "pid": 1}}
    folder = save(
        tmp_path / "sweep",
        [job({LR: 0.1}), failed({LR: 1}, **dead), {"status": 7}, {"status": "completed", "question": "?"}],
    )
    os.utime(folder / "1" / "result.json", (0, 0))
    (folder / "3" / "result.json").write_text('{"status": "comp', encoding="utf-8")
    (folder / "0" / "checkpoints").mkdir()
    (folder / "0" / "checkpoints" / "result.json").write_text("not this one", encoding="utf-8")
    (folder / "9").mkdir()  # a job that has not begun
    results = read([folder])
    assert [Path(result["run_dir"]).name for result in results] == ["0", "1", "2", "3"]
    assert [result["status"] for result in results] == ["completed", "died", "unreadable", "unreadable"]
    board = rank(results)
    assert told(board) == [(1, 0.1, 0.9, 1, "completed"), (None, 1, None, 0, "died")]
    assert len(board.remarks) == 2 and str(folder / "2" / "result.json") in board.remarks[0]


def test_a_job_that_runs_is_running(tmp_path: Path) -> None:
    from litlab.heartbeat import this_process

    folder = save(tmp_path, [failed({LR: 1}, status="running", error=None, process=this_process())])
    assert [result["status"] for result in read([folder])] == ["running"]


def test_several_folders_are_joined_each_result_once(tmp_path: Path) -> None:
    for name, lr in (("a", 0.1), ("b", 0.2)):
        save(tmp_path / name, [job({LR: lr}, lr)])
    assert len(read([tmp_path / "a", tmp_path / "a"])) == 1
    board = summarize([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert [row.values for row in board.rows] == [(0.2,), (0.1,)]
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"summary.csv", "summary.md", "summary_line.png"}
    assert not (tmp_path / "a" / "summary.csv").exists()
    assert [row.values for row in rank(read([tmp_path])).rows] == [(0.2,), (0.1,)]


@pytest.mark.parametrize(("name", "why"), [("absent", "no such folder"), ("empty", "no result.json below it")])
def test_a_wrong_folder_is_told(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match=f"{name}: {why}; name the folder of a sweep"):
        read([tmp_path / name])


def test_many_results_take_little_time(tmp_path: Path) -> None:
    """1,000 of the size of real ones: 10,000 have to take below 10 seconds, pictures included."""
    size = 1000
    jobs = [job({LR: 1 + k // 3, "data.batch_size": 2 ** (k // 3 % 3)}, k / size, seed=k % 3) for k in range(size)]
    jobs = [each | {"more": {f"name{number}": number / 3 for number in range(120)}} for each in jobs]
    folder = save(tmp_path, jobs)
    assert len(json.dumps(jobs[0], indent=2)) > 4000
    summarize([folder])  # matplotlib is imported
    started = time.process_time()
    for file in folder.glob("*/result.json"):
        json.loads(file.read_bytes())
    reading = time.process_time() - started  # 0.1 to 0.2 s: says how fast the machine is
    started = time.process_time()
    board = summarize([folder])
    took = time.process_time() - started
    assert len(board.rows) == -(-size // 3)
    assert took < max(3, 15 * reading)
