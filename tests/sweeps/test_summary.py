"""summary.csv and summary.md to the letter, and which pictures there are."""

import csv
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sweep_results import failed, job, rank, save

from litlab.sweeps.job_result import as_typed
from litlab.sweeps.leaderboard import Leaderboard, read_and_rank
from litlab.sweeps.pictures import draw, pictures
from litlab.sweeps.report import as_markdown, print_leaderboard
from litlab.sweeps.summary import as_csv, jobs_as_csv, summarize, write

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
        "rank,optimizer.lr,data.batch_size,metric,mode,best_mean,best_std,best_low,best_high,test_mean,test_std,n,"
        "seconds_training,"
        "status,error,run_dirs"
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


def test_jobs_csv_has_a_line_for_each_job() -> None:
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


def test_markdown_reads_well(board: Leaderboard) -> None:
    assert as_markdown(board, ["summary_line"]).splitlines() == [
        "# Leaderboard",
        "",
        "3 settings of optimizer.lr, data.batch_size; jobs: 3 completed, 2 failed. "
        "Ranked by the mean over seeds of the best val/accuracy (higher is better), never by the test.",
        "",
        "| rank | optimizer.lr | data.batch_size | val/accuracy | test/accuracy | n | train s | status |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        "| 1 | 0.01 | 32 | 0.750 | 0.700 | 1 | 4.0 | completed |",
        "|  | 0.1 | 32 | 0.922 ± 0.014 | 0.905 ± 0.007 | 2 | 4.5 | 2 of 3 completed |",
        "|  | 1 | 32 | - | - | 0 | - | failed: RunError: a \\| b |",
        "",
        "The winner:",
        "",
        "    python scripts/train.py optimizer.lr=0.01 data.batch_size=32 seed=0",
        "",
        "![summary_line](summary_line.png)",
        "",
        "- a remark",
        "",
        "Made 2026-11-22 01:02:03 +0000 from each job's result.json.",
    ]


def test_the_winner_s_checkpoint_is_that_of_its_best_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Looked for where the jobs lie now, not where they say that they were."""
    jobs = [job({LR: 0.1}, best, seed=seed, checkpoint="/gone/best.ckpt") for seed, best in enumerate((0.5, 0.9, 0.7))]
    board = read_and_rank([save(tmp_path / "s", jobs)])
    assert "checkpoint" not in as_markdown(board, folder=tmp_path)
    for seed in "012":
        (tmp_path / "s" / seed / "checkpoints").mkdir()
        (tmp_path / "s" / seed / "checkpoints" / "best.ckpt").touch()
    lines = as_markdown(board, folder=tmp_path).splitlines()
    place = lines.index("Its checkpoint (seed 1, the best of 3):")
    assert lines[place + 2] == "    s/1/checkpoints/best.ckpt"
    print_leaderboard(board, tmp_path / "s")
    said = " ".join(capsys.readouterr().out.split())
    assert f"its checkpoint (seed 1, the best of 3): {tmp_path}/s/1/checkpoints/best.ckpt" in said


HOSTILE = "=cmd|' /C calc'!A0 \x1b[31m<b>\n[x](http://x) \ud800\u202e `|`"


def test_what_others_wrote_is_harmless_on_the_terminal_in_markdown_and_in_csv(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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


def test_the_command_is_quoted_once_and_can_be_pasted_into_a_shell() -> None:
    """A value with a space has quotes that Hydra is to see, unless it came from the shell without."""
    words = [
        "data=digits",
        "model.hidden=[8, 4]",
        "paths.log_dir='/tmp/a b'",
        "+x='$a'",
        'y="a b"',
        "z='it\\'s'",
        "seed=0",
    ]
    lines = as_markdown(rank([job(overrides=words)])).splitlines()
    typed = next(line.strip() for line in lines if line.startswith("    "))
    assert typed.startswith(
        "python scripts/train.py data=digits 'model.hidden=[8, 4]' \"paths.log_dir='/tmp/a b'\" '+x='\"'\"'$a'"
    )
    said = subprocess.run(["sh", "-c", typed.replace("python scripts/train.py", "printf '%s\\n'")], capture_output=True)
    assert said.stdout.decode().splitlines() == words


def test_each_metric_has_its_winner() -> None:
    board = rank([job({LR: 0.1}, 0.5), job({LR: 0.2}, 0.25, metric="val/rmse", mode="min"), job({LR: 0.3}, 0.7)])
    lines = as_markdown(board).splitlines()
    for metric, rate in (("val/accuracy", 0.3), ("val/rmse", 0.2)):
        place = lines.index(f"The winner by {metric}:")
        assert lines[place + 2] == f"    python scripts/train.py optimizer.lr={rate} seed=0"
    assert "The winner:" not in lines


def test_n_counts_the_completed_jobs_also_without_validation() -> None:
    board = rank([job({LR: 0.1}, None, 0.5, seed=seed) for seed in (0, 1)] + [failed({LR: 0.1}, seed=2)])
    assert "|  | 0.1 | - | 0.5000 ± 0.0000 | 2 | 4.0 | 2 of 3 completed |" in as_markdown(board)
    assert next(csv.DictReader(as_csv(board).splitlines()))["n"] == "2"


def test_without_any_metric_there_are_no_columns_of_it() -> None:
    lines = as_markdown(rank([failed({LR: 1}, status="interrupted"), failed({LR: 2}, status="running")])).splitlines()
    assert "| rank | optimizer.lr | n | train s | status |" in lines
    assert "|  | 2 | 0 | - | running |" in lines
    assert " | 1,234 | completed |" in as_markdown(rank([job({LR: 1}, seconds=1234.4)])), "no tenths of long times"


def test_metrics_of_joined_sweeps_are_a_column() -> None:
    text = as_markdown(rank([job({LR: 0.1}, 0.5), job({LR: 0.2}, 0.25, metric="val/rmse", mode="min")]))
    assert "| rank | optimizer.lr | metric | validation | test | n | train s | status |" in text
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
    assert as_typed(value) == text


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_the_picture_follows_what_is_swept_and_old_ones_go(tmp_path: Path) -> None:
    grid = [job({LR: lr, BATCH: batch}, lr) for lr in (0.1, 0.2) for batch in (32, 64)]
    files = {"summary.csv", "jobs.csv", "summary.md"}
    write(rank(grid[:1]), tmp_path)
    assert names(tmp_path) == files
    write(rank(grid[:2]), tmp_path)
    assert names(tmp_path) == files | {"summary_line.png"}
    write(rank(grid), tmp_path)
    assert names(tmp_path) == files | {"summary_heatmap.png"}
    write(rank([*grid, job({LR: 0.1, BATCH: 32, "model": "cnn"})]), tmp_path)
    assert names(tmp_path) == files | {"summary_parallel.png"}


def test_a_line_has_its_deviations_and_many_settings_know_what_is_better() -> None:
    jobs = [job({LR: lr, "seed": seed}, lr + seed, seed=seed, mode="min") for lr in (1, 2) for seed in (0, 1, 2)]
    kind, figure = draw([LR], rank(jobs).rows, "val/accuracy", "min")
    assert kind == "line" and figure is not None
    drawn, _, (bars,) = figure.axes[0].containers[0]
    assert drawn.get_xydata().tolist() == [[1, 2], [2, 3]]
    assert [bar[:, 1].tolist() for bar in bars.get_segments()] == [[1, 3], [2, 4]]
    jobs = [job({LR: n, BATCH: n, "model": f"m{n}"}, n, mode="min") for n in (1, 2)]
    board = rank(jobs)
    kind, figure = draw(board.columns, board.rows, "val/accuracy", "min")
    assert kind == "parallel" and figure is not None
    assert figure.axes[0].lines[0].get_ydata()[-1] == 0, "the lowest is the best"


def test_each_metric_has_its_picture(tmp_path: Path) -> None:
    jobs = [job({LR: lr}, lr) for lr in (1, 2)] + [job({LR: lr}, lr, metric="val/rmse", mode="min") for lr in (3, 4)]
    write(rank(jobs), tmp_path)
    pictures = {"summary_line_val_accuracy.png", "summary_line_val_rmse.png"}
    assert names(tmp_path) == {"summary.csv", "jobs.csv", "summary.md"} | pictures


def test_a_search_at_random_draws_no_heatmap_full_of_holes(tmp_path: Path) -> None:
    write(rank([job({LR: 0.1 + number / 7, BATCH: 10 + number}, number) for number in range(9)]), tmp_path)
    assert "summary_scatter.png" in names(tmp_path)
    write(rank([job({LR: number, "model.x": [number % 2]}, number) for number in range(9)]), tmp_path)
    assert {"summary_line.png"} == {name for name in names(tmp_path) if name.endswith(".png")}, "a line for each name"


def test_sweeps_of_two_optimizers_are_two_lines() -> None:
    """Joined: in each, the rate alone was swept."""
    jobs = [job({LR: lr}, lr) for lr in (0.1, 0.2, 0.4)]
    for number, lr in enumerate((0.001, 0.002, 0.004)):
        jobs.append(job({LR: lr}, 0.5 + lr, overrides=["optimizer=adam", f"{LR}={lr}"], started=f"2027-{number}"))
        jobs[-1]["choices"] = jobs[-1]["choices"] | {"optimizer": "adam"}
        jobs[-1]["settings"]["optimizer"] = {"_target_": "torch.optim.Adam", "lr": lr, "betas": [0.9, 0.999]}
    jobs.append(failed({LR: 0.8}))
    board = rank(jobs)
    assert board.columns == [LR, "optimizer"]
    kind, figure = draw(board.columns, board.rows, "val/accuracy", "max")
    assert kind == "line" and figure is not None
    axes = figure.axes[0]
    lines = {bars.get_label(): bars[0].get_xydata().tolist() for bars in axes.containers}
    assert lines == {
        "sgd": [[0.1, 0.1], [0.2, 0.2], [0.4, 0.4]],
        "adam": [[0.001, 0.501], [0.002, 0.502], [0.004, 0.504]],
    }
    assert [text.get_text() for text in axes.texts] == ["sgd: failed"]
    assert axes.get_legend().get_title().get_text() == "optimizer"


def test_no_picture_shows_the_mean_of_survivors() -> None:
    jobs = [job({LR: 0.1}, 0.5, seed=seed) for seed in (0, 1)]
    jobs += [job({LR: 0.2}, 0.9), failed({LR: 0.2}, seed=1)]
    board = rank(jobs)
    _, figure = draw(board.columns, board.rows, "val/accuracy", "max")
    assert figure is not None
    assert figure.axes[0].containers[0][0].get_xydata().tolist() == [[0.1, 0.5]]
    assert [text.get_text() for text in figure.axes[0].texts] == ["1 of 2"]


def test_a_heatmap_has_the_digits_of_the_table() -> None:
    jobs = [job({LR: lr, BATCH: batch}, best) for lr, batch, best in ((1, 32, 0.9722), (1, 64, 0.85), (2, 32, 0.9))]
    board = rank([*jobs, failed({LR: 2, BATCH: 64})])
    kind, figure = draw(board.columns, board.rows, "val/accuracy", "max")
    assert kind == "heatmap" and figure is not None
    assert {text.get_text() for text in figure.axes[0].texts} == {"0.9722", "0.8500", "0.9000", "failed"}
    assert "| 0.8500 |" in as_markdown(board)


def test_values_that_are_no_numbers_are_in_the_order_of_the_jobs() -> None:
    shapes: list[Any] = [[64], [64, 32], [128], [16]]
    jobs = [job({"model.hidden": shape}, 0.1 * n, run_dir=f"s/{n}_x") for n, shape in enumerate(shapes, 9)]
    board = rank(jobs)
    _, figure = draw(board.columns, board.rows, "val/accuracy", "max")
    assert figure is not None
    assert [each.get_text() for each in figure.axes[0].get_xticklabels()] == ["[64]", "[64, 32]", "[128]", "[16]"]


def test_the_curves_of_all_jobs_are_in_one_picture(tmp_path: Path) -> None:
    """From history.csv: the best rows by name, each job thin and their mean thick; a single epoch is no curve."""
    jobs = [job({LR: lr}, best, seed=seed) for lr, best in ((0.1, 0.9), (0.2, 0.8), (0.3, 0.7)) for seed in (0, 1)]
    folder = save(tmp_path / "s", jobs)
    assert "summary_curves" not in pictures(read_and_rank([folder]))
    for number in range(6):
        lines = [f"{epoch},{'' if epoch == 2 else number + epoch}" for epoch in range(1, 4 if number < 4 else 2)]
        (folder / str(number) / "history.csv").write_text("\n".join(["epoch,val/accuracy", *lines]))
    (axes,) = pictures(read_and_rank([folder]))["summary_curves"].axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["lr=0.1", "lr=0.2"]
    thick = {line.get_label(): line.get_xydata().tolist() for line in axes.lines if line.get_linewidth() == 2}
    assert thick == {"lr=0.1": [[1, 1.5], [3, 3.5]], "lr=0.2": [[1, 3.5], [3, 5.5]]}
    assert [line.get_xydata().tolist() for line in axes.lines if line.get_linewidth() < 1][-2:] == [
        [[1, 1], [3, 3]], [[1, 2], [3, 4]],
    ]  # fmt: skip
    (folder / "0" / "history.csv").write_bytes(b"\xff\x00 no csv")
    (folder / "1" / "history.csv").unlink()
    (folder / "1" / "history.csv").symlink_to("/dev/zero")
    (axes,) = pictures(read_and_rank([folder]))["summary_curves"].axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["lr=0.2"]
