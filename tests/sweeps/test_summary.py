"""summary.csv and summary.md to the letter, and which pictures there are."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sweep_results import failed, job

from litlab.sweeps.leaderboard import Leaderboard, rank
from litlab.sweeps.rows import Spread
from litlab.sweeps.summary import as_csv, as_markdown, decimals, plain, spread

LR, BATCH = "optimizer.lr", "data.batch_size"


@pytest.fixture
def board() -> Leaderboard:
    """Two settings of two seeds each, the better one with a failed third; one that failed."""
    jobs = [
        job({LR: 0.1, BATCH: 32}, 0.9123, 0.9, seed=0, run_dir="s/0"),
        job({LR: 0.1, BATCH: 32}, 0.9323, 0.91, seed=1, run_dir="s/1", seconds=5.0),
        failed({LR: 0.1, BATCH: 32}, seed=2, run_dir="s/2"),
        job({LR: 0.01, BATCH: 32}, 0.75, 0.7, seed=0, run_dir="s/3"),
        failed({LR: 1.0, BATCH: 32}, "RunError: a | b", run_dir="s/4"),
    ]
    board = rank(jobs)
    return Leaderboard(board.columns, board.rows, board.jobs, ["a remark"], datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC))


def test_csv_is_plain_and_of_full_precision(board: Leaderboard) -> None:
    text = as_csv(board)
    assert "../s/0;../s/1" in as_csv(board, Path("other"))
    assert text.splitlines()[0] == (
        "rank,optimizer.lr,data.batch_size,metric,mode,best_mean,best_std,test_mean,test_std,n,seconds,"
        "status,error,run_dirs"
    )
    first, second, third = csv.DictReader(text.splitlines())
    assert [first[name] for name in ("rank", LR, BATCH, "metric", "mode", "n")] == [
        "1",
        "0.1",
        "32",
        "val/accuracy",
        "max",
        "2",
    ]
    assert float(first["best_mean"]) == board.rows[0].best.mean == pytest.approx(0.9223)
    assert float(first["best_std"]) == board.rows[0].best.std == pytest.approx(0.02 / 2**0.5)
    assert (first["seconds"], first["status"], first["error"]) == ("4.5", "2 of 3 completed", "RunError: diverged")
    assert first["run_dirs"] == "s/0;s/1;s/2"
    assert (second["best_mean"], second["best_std"], second["n"]) == ("0.75", "", "1")
    assert (third["rank"], third["metric"], third["mode"], third["best_mean"], third["n"]) == ("", "", "", "", "0")
    assert third["status"] == "failed: RunError: a | b"


def test_markdown_reads_well(board: Leaderboard) -> None:
    assert as_markdown(board, ["summary_line"]).splitlines() == [
        "# Leaderboard",
        "",
        "3 settings of optimizer.lr, data.batch_size; jobs: 3 completed, 2 failed. "
        "Ranked by the mean over seeds of the best val/accuracy (higher is better), never by the test.",
        "",
        "| rank | optimizer.lr | data.batch_size | val/accuracy | test/accuracy | n | seconds | status |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        "| 1 | 0.1 | 32 | 0.922 ± 0.014 | 0.905 ± 0.007 | 2 | 4.5 | 2 of 3 completed |",
        "| 2 | 0.01 | 32 | 0.750 | 0.700 | 1 | 4.0 | completed |",
        "|  | 1 | 32 | - | - | 0 | - | failed: RunError: a \\| b |",
        "",
        "What trains the winner:",
        "",
        "    python scripts/train.py optimizer.lr=0.1 data.batch_size=32",
        "",
        "![summary_line](summary_line.png)",
        "",
        "- a remark",
        "",
        "Made 2026-11-22 01:02:03 +0000 from the result.json of each job.",
    ]


def test_the_command_can_be_pasted_into_a_shell() -> None:
    text = as_markdown(rank([job(overrides=["data=digits", "model.hidden=[8, 4]", "seed=0"])]))
    assert "    python scripts/train.py data=digits 'model.hidden=[8, 4]' seed=0" in text.splitlines()


def test_metrics_of_joined_sweeps_are_a_column() -> None:
    text = as_markdown(rank([job({LR: 0.1}, 0.5), job({LR: 0.2}, 0.25, metric="val/rmse", mode="min")]))
    assert "| rank | optimizer.lr | metric | validation | test | n | seconds | status |" in text
    assert "| 1 | 0.1 | val/accuracy | 0.5000 | 0.8000 | 1 | 4.0 | completed |" in text
    assert "val/accuracy (higher is better) and val/rmse (lower is better)" in text


def test_a_long_table_is_cut_but_not_the_csv() -> None:
    board = rank([job({LR: number}) for number in range(1, 1235)])
    text = as_markdown(board)
    assert "... and 1,034 more rows, in summary.csv" in text
    assert text.count("\n| ") == 202
    assert len(as_csv(board).splitlines()) == 1235


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (True, "true"), (1e-05, "1e-05"), (0.1, "0.1"), ([8, 4], "[8,4]"), ("mlp", "mlp")]
)
def test_values_are_as_one_types_them(value: Any, text: str) -> None:
    assert plain(value) == text


@pytest.mark.parametrize(
    ("spreads", "digits"),
    [
        ([Spread(0.97, 0.0029, 3)], 4),
        ([Spread(0.97, 0.0009, 3)], 4),
        ([Spread(0.97, 0.014, 3)], 3),
        ([Spread(97.2, 12.0, 3)], 0),
        ([Spread(0.97, None, 1), Spread(0.9, None, 1)], 4),
        ([Spread(None, None, 0), Spread(97.2, None, 1)], 2),
        ([Spread(12345.0, None, 1)], 0),
        ([Spread(0.97, 0.0, 3)], 4),
        ([Spread(None, None, 0)], 4),
    ],
)
def test_as_many_decimals_as_the_spread_lets_one_tell(spreads: list[Spread], digits: int) -> None:
    assert decimals(spreads) == digits


def test_a_small_number_keeps_its_digits() -> None:
    assert spread(Spread(0.97213, 0.0029, 3), 4) == "0.9721 ± 0.0029"
    assert spread(Spread(0.000012344, None, 1), 4) == "0.00001234"
    assert spread(Spread(0.0, None, 1), 2) == "0.00"


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_the_picture_follows_what_is_swept_and_old_ones_go(tmp_path: Path) -> None:
    grid = [job({LR: lr, BATCH: batch}, lr) for lr in (0.1, 0.2) for batch in (32, 64)]
    files = {"summary.csv", "summary.md"}
    rank(grid[:1]).write(tmp_path)
    assert names(tmp_path) == files
    rank(grid[:2]).write(tmp_path)
    assert names(tmp_path) == files | {"summary_line.png"}
    rank(grid).write(tmp_path)
    assert names(tmp_path) == files | {"summary_heatmap.png"}
    rank([*grid, job({LR: 0.1, BATCH: 32, "model": "cnn"})]).write(tmp_path)
    assert names(tmp_path) == files | {"summary_parallel.png"}


def test_each_metric_has_its_picture(tmp_path: Path) -> None:
    jobs = [job({LR: lr}, lr) for lr in (1, 2)] + [job({LR: lr}, lr, metric="val/rmse", mode="min") for lr in (3, 4)]
    rank(jobs).write(tmp_path)
    pictures = {"summary_line_val_accuracy.png", "summary_line_val_rmse.png"}
    assert names(tmp_path) == {"summary.csv", "summary.md"} | pictures


def test_a_search_at_random_draws_no_heatmap_full_of_holes(tmp_path: Path) -> None:
    rank([job({LR: 0.1 + number / 7, BATCH: 10 + number}, number) for number in range(9)]).write(tmp_path)
    assert "summary_parallel.png" in names(tmp_path)
