"""summary.csv and jobs.csv to the letter, what others wrote made harmless, and which files there are."""

import csv
import re
from pathlib import Path

import pytest
from sweep_results import by_rate, failed, job, rank, save

from litlab.sweeps.job_result import as_typed
from litlab.sweeps.report import print_leaderboard
from litlab.sweeps.summary import as_csv, jobs_as_csv, summarize, write

LR, BATCH = "optimizer.lr", "data.batch_size"
FILES = {"summary.csv", "jobs.csv", "summary.md"}


def test_csv_is_plain_and_of_full_precision():
    """Two settings of two seeds each, the better one with a failed third; one that failed."""
    board = rank(
        [
            job({LR: 0.1, BATCH: 32}, 0.9123, 0.9, seed=0, run_dir="s/0"),
            job({LR: 0.1, BATCH: 32}, 0.9323, 0.91, seed=1, run_dir="s/1", seconds=5.0),
            failed({LR: 0.1, BATCH: 32}, seed=2, run_dir="s/2"),
            job({LR: 0.01, BATCH: 32}, 0.75, 0.7, seed=0, run_dir="s/3"),
            failed({LR: 1.0, BATCH: 32}, "RunError: a | b", run_dir="s/4"),
        ]
    )
    text = as_csv(board)
    assert "../s/0;../s/1" in as_csv(board, Path("other"))
    assert text.splitlines()[0] == (
        "rank,optimizer.lr,data.batch_size,metric,mode,best_mean,best_std,best_low,best_high,test_mean,test_std,n,"
        "seconds_training,status,error,run_dirs"
    )
    first, second, third = csv.DictReader(text.splitlines())
    assert [first[name] for name in ("rank", LR, "best_mean", "best_std", "n")] == ["1", "0.01", "0.75", "", "1"]
    assert [second[name] for name in ("rank", LR, BATCH, "metric", "mode", "n", "seconds_training", "status")] == (
        ["", "0.1", "32", "val/accuracy", "max", "2", "4.5", "2 of 3 completed"]
    )
    assert float(second["best_mean"]) == board.rows[1].best.mean == pytest.approx(0.9223)
    assert float(second["best_std"]) == board.rows[1].best.std == pytest.approx(0.02 / 2**0.5)
    assert (second["error"], second["run_dirs"]) == ("RunError: diverged", "s/0;s/1;s/2")
    assert (third["rank"], third["metric"], third["mode"], third["best_mean"], third["n"]) == ("", "", "", "", "0")
    assert third["status"] == "failed: RunError: a | b"
    (row,) = csv.DictReader(as_csv(rank([job({LR: 0.1}, None, seed=0), job({LR: 0.1}, None, seed=1)])).splitlines())
    assert row["n"] == "2", "without validation the completed jobs are counted"


def test_jobs_csv_has_a_line_for_each_job():
    metrics = {"val/accuracy": 0.9, "test/accuracy": 0.8, "test/f1": 0.7, "train/loss": 0.1}
    jobs = [
        job({LR: 0.1}, 0.5, seed=1, metrics=metrics, seconds_training=3.5, run_dir="s/1"),
        failed({LR: 0.2}, "no room", run_dir="s/2", seconds=None),
        {"status": "unreadable", "error": "half of it", "run_dir": "s/3"},
    ]
    assert jobs_as_csv(rank(jobs), Path("s")).splitlines() == [
        "run_dir,status,seed,optimizer.lr,metric,mode,best,epoch,test/accuracy,test/f1,seconds_training,seconds,error",
        "1,completed,1,0.1,val/accuracy,max,0.5,3,0.8,0.7,3.5,4.0,",
        "2,failed,0,0.2,,,,,,,,,no room",
        "3,unreadable,,,,,,,,,,,half of it",
    ]
    assert len(as_csv(rank(by_rate({number: 0.9 for number in range(1, 300)}))).splitlines()) == 300, "it is not cut"


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (True, "true"), (1e-05, "1e-05"), (0.1, "0.1"), ([8, 4], "[8,4]"), ("mlp", "mlp")]
)
def test_values_are_as_one_types_them(value, text):
    assert as_typed(value) == text


HOSTILE = "=cmd|' /C calc'!A0 \x1b[31m<b>\n[x](http://x) \ud800\u202e `|`"


def test_what_others_wrote_is_harmless_on_the_terminal_in_markdown_and_in_csv(tmp_path, capsys):
    others = job({LR: HOSTILE, "data.-2+3": -2, BATCH: "-3"}, 0.5), failed({LR: 1}, HOSTILE)
    board = summarize([save(tmp_path, list(others))])
    print_leaderboard(board, tmp_path)
    shown = capsys.readouterr().out
    assert not set(shown) & {"\x1b", "\ud800", "\u202e"} and "=cmd|' /C calc'!A0 \\x1b[31m<b>" in shown
    lines = (tmp_path / "summary.md").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("    "))  # code, which is shown as it is
    assert not set("".join(lines)) & {"\x1b", "\u202e"} and "<b>" not in text and "[x](http" not in text
    (row,) = [line for line in text.splitlines() if line.startswith("| 1 |")]
    assert re.sub(r"\\\\|\\\|", "", row).count("|") == 10, "no more cells than there are columns"
    for name in ("summary.csv", "jobs.csv"):
        first, second = csv.DictReader((tmp_path / name).open(encoding="utf-8"))
        assert first[LR].startswith("'=cmd|") and "\\x1b[31m" in first[LR]
        assert (first["data.-2+3"], first[BATCH]) == ("-2", "-3"), "numbers stay numbers"
        assert second["error"].startswith("'=cmd")


def test_the_picture_follows_what_is_swept_and_old_ones_go(tmp_path):
    grid = [job({LR: lr, BATCH: batch}, lr) for lr in (0.1, 0.2) for batch in (32, 64)]
    two_metrics = [*by_rate({1: 1, 2: 2}), *by_rate({3: 3, 4: 4}, metric="val/rmse", mode="min")]
    for jobs, pictures in (
        (grid[:1], ()),
        (grid[:2], ("line",)),
        (grid, ("heatmap",)),
        ([*grid, job({LR: 0.1, BATCH: 32, "model": "cnn"})], ("parallel",)),
        (two_metrics, ("line_val_accuracy", "line_val_rmse")),
        ([job({LR: 0.1 + number / 7, BATCH: 10 + number}, number) for number in range(9)], ("scatter",)),
        ([job({LR: number, "model.x": [number % 2]}, number) for number in range(9)], ("line",)),
    ):
        write(rank(jobs), tmp_path)
        assert {file.name for file in tmp_path.iterdir()} == FILES | {f"summary_{name}.png" for name in pictures}
