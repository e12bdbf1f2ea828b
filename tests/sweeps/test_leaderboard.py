"""The leaderboard: which rows, in which order, with which numbers."""

import csv
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from sweep_results import failed, job, rank, save

from litlab.errors import RequestError
from litlab.sweeps.job import Job
from litlab.sweeps.leaderboard import Leaderboard, read, read_and_rank
from litlab.sweeps.planned import save as save_plan
from litlab.sweeps.report import print_leaderboard, table
from litlab.sweeps.summary import as_csv, jobs_as_csv, summarize

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


def test_a_test_on_the_training_split_is_marked() -> None:
    board = rank([job({LR: 0.1}, 0.9, 0.5), job({LR: 0.2}, 0.8, 0.75, test_split="train")])
    assert board.remarks == ["1 setting is tested on the training split (data.test_on_train=true)"]
    assert [row[3] for row in table(board, 9)] == ["test/accuracy", "0.5000", "0.7500 (train)"]
    for text, splits in ((as_csv(board), ["test", "train"]), (jobs_as_csv(board), ["", "train"])):
        assert [row["test_split"] for row in csv.DictReader(io.StringIO(text))] == splits


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
    assert board.remarks == [
        "3 settings tie for the best val/accuracy; val/loss does not separate the first two either"
    ]


def test_of_equal_ones_the_lower_validation_loss_goes_first() -> None:
    losses = {0.003: 0.5, 0.02: 0.25, 0.1: 0.375}
    board = rank([job({LR: lr}, 0.9, metrics={"val/loss": loss}) for lr, loss in losses.items()])
    assert [(row.rank, *row.values) for row in board.rows] == [(1, 0.02), (1, 0.1), (1, 0.003)]
    assert board.remarks == ["3 settings tie for the best val/accuracy; the first has the lowest val/loss"]


def test_a_setting_of_which_seeds_are_lost_is_not_ranked() -> None:
    """Neither where they diverged nor where they completed without a value; n counts the values."""
    lost = [job({LR: 0.1}, 0.99), failed({LR: 0.1}, seed=1), failed({LR: 0.1}, seed=2)]
    empty = [job({LR: 0.2}, best, seed=seed) for seed, best in enumerate((0.85, 0.93, None))]
    board = rank([*lost, *empty, *(job({LR: 0.3}, 0.5, seed=seed) for seed in range(3))])
    assert told(board) == [
        (1, 0.3, 0.5, 3, "completed"),
        (None, 0.1, 0.99, 1, "1 of 3 completed"),
        (None, 0.2, pytest.approx(0.89), 2, "2 of 3 have a value"),
    ]
    assert [row.n for row in board.rows] == [3, 1, 2]
    assert board.winners == board.rows[:1]
    assert board.remarks == [
        "2 settings are not ranked: some of their seeds have no value, and the mean of the others would be too good"
    ]
    assert rank(lost).winners == [] and rank(lost).metrics == [("val/accuracy", "max")]


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
        (None, 0.1, pytest.approx(0.6), 2, "2 of 3 completed"),
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


def test_what_differs_is_a_column_also_where_the_swept_settings_tell_the_rows_apart() -> None:
    """But no member of a choice that is shown, no copy of a setting, and nothing that follows from the choices."""

    def other(lr: float, **choices: str) -> dict[str, Any]:
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
    assert len(board.columns) == 30 and board.remarks == ["22 more settings differ, but have no column"]


def test_several_metrics_are_ranked_each_by_itself() -> None:
    jobs = [job({LR: lr}, best, metric="val/rmse", mode="min", started="1") for lr, best in ((1, 0.25), (2, 0.125))]
    jobs += [job({LR: lr}, best, started="2") for lr, best in ((3, 0.5), (4, 0.75))]
    board = rank(jobs[::-1])
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


def odd(**changes: Any) -> bytes:
    return json.dumps(job({LR: 0.1}) | changes).encode()


def nested(depth: int) -> dict[str, Any]:
    return {"model": nested(depth - 1)} if depth else {}


def monitor(**changes: Any) -> bytes:
    return odd(monitor={"metric": "val/accuracy", "mode": "max", "best": 0.9, "epoch": 1} | changes)


def process(**changes: Any) -> bytes:
    return odd(status="running", process={"host": "elsewhere", "pid": 7} | changes)


WRONG = ([1], {"a": 1}, 7, True, "text")  # of which a field takes one or two kinds at most
ODD = {
    "status: must be completed, failed, interrupted or running": [
        *(odd(status=wrong) for wrong in (*WRONG, None, "completed\n", "\x1b[2J")),
        b"{}",
    ],
    "must be a mapping": [b"7", b"[]", b'"completed"', b"null", *(odd(monitor=w) for w in WRONG if w != {"a": 1})],
    "settings: must be a mapping": [odd(settings=wrong) for wrong in WRONG if wrong != {"a": 1}],
    "names": [*(odd(choices=wrong) for wrong in WRONG), odd(choices={"a": "m" * 999}), odd(swept=[1]), odd(swept=1)],
    "must be text": [odd(error=[1]), odd(started=7), odd(checkpoint={"a": 1})],
    "overrides: must be a list of texts": [odd(overrides=[7]), odd(overrides="seed=0"), odd(overrides={"a": 1})],
    "seed: must be a number or text": [odd(seed=[1]), odd(seed={"a": 1})],
    "monitor.": [
        monitor(metric=[1]), monitor(metric={}), monitor(metric="val/" + "x" * 300), monitor(mode="up"),
        monitor(mode=[1]), monitor(best="0.9"), monitor(best=[1]), monitor(best=True), monitor(epoch="3"),
    ],
    "metrics: must be numbers by name": [odd(metrics=[1]), odd(metrics={"test/accuracy": "0.8"}), odd(metrics="0.9")],
    "seconds": [odd(seconds="4"), odd(seconds_training=[1])],
    "process": [process(pid=-1), process(pid=0), process(pid="7"), process(pid=2**40), process(host=[1]),
                process(host=None), process(start="x"), odd(process=7)],
    "a number of 4,000 digits": [each.replace(b'"N"', b"9" * 4000) for each in (odd(seed="N"), monitor(best="N"))],
    "digits": [odd(seconds="N").replace(b'"N"', b"9" * 5000)],
    "nested deeper than 50 levels": [odd(settings=nested(60)), b"[" * 100_000, odd(x=nested(100))],
    "": [b"", b"\xff\xfe", b"{", b'{"status": "comp', b"\0" * 100, odd()[:-1], b"nan", b"\xef\xbb\xbf" + odd()[1:]],
    "larger than 10 MiB": [odd(more="x" * 10 * 2**20)],
}  # fmt: skip
STRANGE = [  # but results: they are shown
    *(odd(error=text, status="failed") for text in ("\ud800", "\x1b]0;x\x07", "a\nb\rc", "=1+1", "|" * 99, "")),
    *(odd(overrides=[text]) for text in ("", "=", "a=\ud800", "${", "~", "x=$(rm -rf .)", "seed=\n")),
    *(monitor(best=number) for number in (1e308, -1e308, 5e-324, 10**299, float("inf"), float("nan"), None)),
    *(monitor(metric=name) for name in ("", "../../x", "val/\0", "$x^2$", "\ud800", "a" * 200)),
    *(odd(settings={"optimizer": {"lr": value}}) for value in (10**299, -1e308, float("nan"), [[1]], "\ud800")),
    *(odd(swept=["", ".", "\ud800"]), odd(seed=1e999, choices=None)),
    odd(settings={"": {"": {"": 0}}, "a.b": 1, "\ud800": 2}),
]  # fmt: skip


def test_no_odd_result_stops_the_leaderboard(tmp_path: Path) -> None:
    cases = [(content, why) for why, contents in ODD.items() for content in contents]
    assert len(cases) > 60
    for number, (content, _) in enumerate(cases):
        (tmp_path / f"odd{number}").mkdir()
        (tmp_path / f"odd{number}" / "result.json").write_bytes(content)
    save(tmp_path / "good", [job({LR: 0.1}), job({LR: 0.2})])
    results = {result.run_dir.name: result for result in read([tmp_path])}
    for number, (content, why) in enumerate(cases):
        result = results[f"odd{number}"]
        assert result.status == "unreadable" and why in result.error, (content[:300], why, result.error)
    board = summarize([tmp_path])
    assert board.jobs == {"completed": 2, "unreadable": len(cases)}
    assert len(board.rows) == 2 + len(cases) and board.rows[0].values == (0.1,)
    assert (
        len(board.remarks) == 7
        and board.remarks[5] == f"{len(cases) - 5:,} more files cannot be read; jobs.csv lists them"
    )


@pytest.mark.parametrize("content", STRANGE)
def test_a_strange_result_is_shown(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    for name, each in {"0": content, "1": odd(), "2": json.dumps(job({LR: 0.2})).encode()}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_bytes(each)
    board = summarize([tmp_path])
    print_leaderboard(board, tmp_path)
    assert "unreadable" not in board.jobs and board.jobs.total() in (2, 3)
    (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.parent.iterdir() if path.suffix} == set()


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    for name in ("pipe", "zero", "loop", "folder"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "pipe" / "result.json")
    (tmp_path / "zero" / "result.json").symlink_to("/dev/zero")
    (tmp_path / "loop" / "result.json").symlink_to("result.json")
    (tmp_path / "folder" / "result.json").mkdir()
    errors = {result.run_dir.name: result.error for result in read([tmp_path])}
    assert errors.keys() == {"pipe", "zero", "loop"}
    assert errors["pipe"] == errors["zero"] == "not a regular file" and "symbolic links" in errors["loop"]


def test_what_has_not_begun_is_counted_and_is_no_survivor(tmp_path: Path) -> None:
    """9 jobs are planned: of 0.1 all are there, of 0.2 one, of 0.3 (which an earlier session left) none."""
    settings = [{LR: lr} for lr in (0.1, 0.2, 0.3)]
    results = [[job(each, 0.5 + each[LR], seed=seed) for seed in range(3)] for each in settings]
    folder = save(tmp_path, [*results[0], results[1][1], job(settings[2], 0.1, seed=7)])
    assert summarize([folder]).jobs == {"completed": 5}
    planned = [Job(each["overrides"], each["settings"]) for group in results for each in group]
    planned += [Job(["x=1"], mistake=ValueError())]  # which has a result
    save_plan(folder, [*planned, planned[0]], total=11)
    board = summarize([folder])
    assert board.jobs == {"completed": 5, "not begun": 5}
    assert told(board)[:2] == [(1, 0.1, 0.6, 3, "completed"), (2, 0.3, 0.1, 1, "completed")]
    assert told(board)[2:] == [(None, 0.2, 0.7, 1, "1 of 3 completed")]
    row = board.rows[2]
    assert [each.value("seed") for each in row.jobs] == [0, 1, 2] and row.replicates == ["seeds"]
    assert row.overrides == ["optimizer.lr=0.2"]
    assert "jobs: 5 completed, 5 not begun." in (folder / "summary.md").read_text()
    assert len((folder / "jobs.csv").read_text().splitlines()) == 6
    save_plan(folder, planned, total=30)  # of a search, which plans as it goes
    assert summarize([folder]).jobs["not begun"] == 25


@pytest.mark.parametrize(
    "text", ["", "[", "7", "\0", "[" * 9999, '{"total": 9}', '{"jobs": [7], "total": 1}', '{"jobs": [], "total": []}']
)
def test_an_odd_plan_says_nothing(tmp_path: Path, text: str) -> None:
    save(tmp_path, [job({LR: 0.1})])
    (tmp_path / "planned.json").write_text(text)
    assert summarize([tmp_path]).jobs == {"completed": 1}


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
    assert [result.run_dir.name for result in results] == ["0", "1", "2", "3"]
    assert [result.status for result in results] == ["completed", "died", "unreadable", "unreadable"]
    board = read_and_rank([folder])
    first, second, *unreadable = told(board)
    assert [first, second] == [(1, 0.1, 0.9, 1, "completed"), (None, 1, None, 0, "died")]
    assert unreadable[0] == (
        None,
        None,
        None,
        0,
        "unreadable: status: must be completed, failed, interrupted or running",
    )
    assert [f"{folder / name / 'result.json'} cannot be read" for name in ("2", "3")] == [
        remark.partition(":")[0] for remark in board.remarks
    ]


def test_a_job_that_runs_is_running(tmp_path: Path) -> None:
    from litlab.runs.heartbeat import this_process

    folder = save(tmp_path, [failed({LR: 1}, status="running", error=None, process=this_process())])
    assert [result.status for result in read([folder])] == ["running"]


def test_several_folders_are_joined_each_result_once(tmp_path: Path) -> None:
    for name, lr in (("a", 0.1), ("b", 0.2)):
        save(tmp_path / name, [job({LR: lr}, lr)])
    assert len(read([tmp_path / "a", tmp_path / "a"])) == 1
    board = summarize([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert [row.values for row in board.rows] == [(0.2,), (0.1,)]
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "jobs.csv",
        "summary.csv",
        "summary.md",
        "summary_line.png",
    }
    assert not (tmp_path / "a" / "summary.csv").exists()
    assert [row.values for row in read_and_rank([tmp_path]).rows] == [(0.2,), (0.1,)]


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
