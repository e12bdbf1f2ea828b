"""A leaderboard as text, in Markdown and on the terminal, to the letter."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sweep_results import by_rate, failed, job, rank, save

from litlab.runs.report import print_result
from litlab.runs.result import Result
from litlab.sweeps.leaderboard import Leaderboard, read_and_rank
from litlab.sweeps.report import as_markdown, print_leaderboard, table
from litlab.sweeps.summary import as_csv

LR, BATCH = "optimizer.lr", "data.batch_size"


def printed(capsys, board, folder=Path("/sweep")):
    """The lines on the terminal, without repeated spaces."""
    print_leaderboard(board, folder)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip(" ─")]


def test_markdown_reads_well():
    jobs = [job({LR: 0.1, BATCH: 32}, 0.91, 0.9), job({LR: 0.1, BATCH: 32}, 0.93, 0.91, seed=1)]
    jobs += [failed({LR: 0.1, BATCH: 32}, seed=2), job({LR: 0.01, BATCH: 32}, 0.75, 0.7)]
    board = rank([*jobs, failed({LR: 1.0, BATCH: 32}, "RunError: a | b")])
    made = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)
    board = Leaderboard(board.columns, board.rows, board.jobs, ["a warning"], made)
    assert as_markdown(board, ["summary_line"]).splitlines() == [
        "# Leaderboard",
        "",
        "3 settings of optimizer.lr, data.batch_size; jobs: 3 completed, 2 failed. "
        "Ranked by the mean over seeds of the best val/accuracy (higher is better), never by the test.",
        "",
        "| rank | optimizer.lr | data.batch_size | val/accuracy | test/accuracy | n | train s | status |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        "| 1 | 0.01 | 32 | 0.750 | 0.700 | 1 | 4.0 | completed |",
        "|  | 0.1 | 32 | 0.920 ± 0.014 | 0.905 ± 0.007 | 2 | 4.0 | 2 of 3 completed |",
        "|  | 1 | 32 | - | - | 0 | - | failed: RunError: a \\| b |",
        "",
        "The winner:",
        "",
        "    python scripts/train.py optimizer.lr=0.01 data.batch_size=32 seed=0",
        "",
        "![summary_line](summary_line.png)",
        "",
        "- a warning",
        "",
        "Made 2026-11-22 01:02:03 +0000 from each job's result.json.",
    ]  # fmt: skip


def test_an_early_end_is_short_and_an_error_is_as_it_was():
    errors = ("after epoch 3", "before its first epoch")
    jobs = [job({LR: number}, status="pruned", error=error) for number, error in enumerate(errors)]
    jobs += [job({LR: 2}, status="pruned", error=f"after epoch {seed + 3}", seed=seed) for seed in (0, 1)]
    board = rank(jobs)
    statuses = {row[1]: row[-1] for row in table(board, 9)[1:]}
    assert statuses == {"0": "pruned at 3", "1": "pruned: before its first epoch", "2": "pruned at 3, 4"}
    assert "pruned: after epoch 3," in as_csv(board), "in full in summary.csv"


def test_a_long_error_is_cut_on_the_terminal_alone(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    error = "RuntimeError: " + " ".join(f"word{number}" for number in range(200))
    board = rank([job({LR: 1}), failed({LR: 2}, error), failed({LR: 3}, "x" * 52)])
    said = printed(capsys, board)
    cut = "failed: RuntimeError: word0 word1 word2 word3 word4 word5 w…"
    assert len(cut) == 60 and f"2 - - 0 - {cut}" in said and f"3 - - 0 - failed: {'x' * 52}" in said
    assert f"| failed: {error} |" in as_markdown(board) and f",failed: {error}," in as_csv(board)


def test_the_winner_s_checkpoint_is_that_of_its_best_seed(tmp_path, capsys):
    """Looked for where the jobs lie now, not where they say that they were."""
    board = read_and_rank([save(tmp_path / "s", by_rate({0.1: [0.5, 0.9, 0.7]}, checkpoint="/gone/best.ckpt"))])
    assert "checkpoint" not in as_markdown(board, folder=tmp_path)
    for seed in "012":
        (tmp_path / "s" / seed / "checkpoints").mkdir()
        (tmp_path / "s" / seed / "checkpoints" / "best.ckpt").touch()
    lines = as_markdown(board, folder=tmp_path).splitlines()
    assert lines[lines.index("Its checkpoint (seed 1, the best of 3):") + 2] == "    s/1/checkpoints/best.ckpt"
    said = " ".join(printed(capsys, board, tmp_path / "s"))
    assert f"its checkpoint (seed 1, the best of 3): {tmp_path}/s/1/checkpoints/best.ckpt" in said


def test_the_command_is_quoted_once_and_can_be_pasted_into_a_shell():
    """A value with a space has quotes that Hydra must see, unless it came from the shell without."""
    words = ["data=digits", "model.hidden=[8, 4]", "paths.log_dir='/tmp/a b'", "+x='$a'"]
    words += ['y="a b"', "z='it\\'s'", "seed=0"]
    lines = as_markdown(rank([job(overrides=words)])).splitlines()
    typed = next(line.strip() for line in lines if line.startswith("    "))
    assert typed.startswith(
        "python scripts/train.py data=digits 'model.hidden=[8, 4]' \"paths.log_dir='/tmp/a b'\" '+x='\"'\"'$a'"
    )
    said = subprocess.run(["sh", "-c", typed.replace("python scripts/train.py", "printf '%s\\n'")], capture_output=True)
    assert said.stdout.decode().splitlines() == words


def test_each_metric_has_its_winner_and_both_are_a_column(capsys):
    board = rank([*by_rate({0.1: 0.5, 0.3: 0.7}), *by_rate({0.2: 0.25}, metric="val/rmse", mode="min")])
    text = as_markdown(board)
    lines, said = text.splitlines(), printed(capsys, board)
    for metric, rate in (("val/accuracy", 0.3), ("val/rmse", 0.2)):
        command = f"python scripts/train.py optimizer.lr={rate} seed=0"
        assert lines[lines.index(f"The winner by {metric}:") + 2].strip() == command
        assert f"the winner by {metric}: {command}" in said
    assert "The winner:" not in lines and not any(line.startswith("the winner:") for line in said)
    assert "| rank | optimizer.lr | metric | validation | test | n | train s | status |" in lines
    assert "| 2 | 0.1 | val/accuracy | 0.5000 | 0.8000 | 1 | 4.0 | completed |" in lines
    assert "val/accuracy (higher is better) and val/rmse (lower is better)" in text


def test_n_counts_the_completed_jobs_also_without_validation(capsys):
    board = rank([*(job({LR: 0.1}, None, 0.5, seed=seed) for seed in (0, 1)), failed({LR: 0.1}, seed=2)])
    assert "|  | 0.1 | - | 0.5000 ± 0.0000 | 2 | 4.0 | 2 of 3 completed |" in as_markdown(board)
    said = printed(capsys, board)
    assert not any("winner" in line for line in said)
    assert any(line.startswith("warning: 1 setting is not ranked") for line in said)


def test_without_any_metric_there_are_no_columns_of_it(capsys):
    lines = as_markdown(rank([failed({LR: 1}, status="interrupted"), failed({LR: 2}, status="running")])).splitlines()
    assert "| rank | optimizer.lr | n | train s | status |" in lines
    assert "|  | 2 | 0 | - | running |" in lines
    assert " | 1,234 | completed |" in as_markdown(rank([job({LR: 1}, seconds=1234.4)])), "no tenths of long times"
    said = printed(capsys, rank([{"status": "unreadable", "error": "half of it", "run_dir": "s/0"}]))
    assert "rank n train s status" in said and "warning: s/0/result.json cannot be read: half of it" in said


def test_a_long_table_is_cut(capsys):
    board = rank([*(job({LR: lr}, 1 - lr / 2048, 0.5) for lr in range(1, 1234)), failed({LR: 9999})])
    text, said = as_markdown(board), printed(capsys, board, Path("logs/sweep"))
    assert "... and 1,034 more rows, in summary.csv" in text and text.count("\n| ") == 202
    assert said[1] == "rank lr val/accuracy test/accuracy n train s status"
    assert said[2] == "1 1 0.9995 0.5000 1 4.0 completed"
    assert said[11].startswith("10 10 ")
    assert said[12:] == [
        "... and 1,224 more",
        "the winner: python scripts/train.py optimizer.lr=1 seed=0",
        "summary: logs/sweep/summary.md",
        "in a browser: logs/sweep/summary.html",
    ]


def test_no_number_is_cut_on_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    swept = {LR: 0.00123, BATCH: 4096, "model": "mlp[bold]"}
    jobs = [job(swept, best, best, seed=seed) for seed, best in enumerate((0.91234, 0.92345))]
    said = printed(capsys, rank([*jobs, failed({LR: 1.0}, "RunError: " + 8 * "no room ")]))
    assert "1 0.00123 4096 mlp[bold] 0.9179 ± 0.0079 0.9179 ± 0.0079 2 4.0 completed" in said
    assert said[0].startswith("2 settings of optimizer.lr, data.batch_size, model; jobs: 2 completed, 1 failed.")


@pytest.mark.parametrize("width", [40, 80, 110])
def test_a_status_is_whole_on_a_narrow_terminal(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    jobs = [job({LR: 0.00123 * k, BATCH: 2**k, "optimizer.weight_decay": 1e-5 * k}, 0.9) for k in (1, 2, 3)]
    print_leaderboard(rank([*jobs, *({**each, "seed": 1} for each in jobs)]), Path("/sweep"))
    said = capsys.readouterr().out.splitlines()
    assert sum(line.rstrip().endswith(" completed") for line in said) == 3
    assert sum("train s   status" in line for line in said) == 1


@pytest.mark.parametrize("width", [80, 120])
def test_an_error_takes_the_room_that_is_left(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    error = "optimizer.lr=abc: a-word-of-more-than-thirty-chars"
    print_leaderboard(rank([job({LR: 0.1}), failed({LR: "abc"}, error)]), Path("/sweep"))
    said = capsys.readouterr().out.splitlines()
    start = next(line.index("status") for line in said if "status" in line)
    table = [line for line in said if len(line) == len(said[2])]
    assert "".join(line[start:] for line in table[3:]).replace(" ", "") == f"completedfailed:{error}".replace(" ", "")
    assert all(len(line) <= width for line in table)


def test_paths_are_quoted_for_a_shell(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "300")
    folder = tmp_path / "with space"
    (folder / "0" / "tensorboard").mkdir(parents=True)
    said = printed(capsys, rank([job({LR: 1})]), folder)
    assert said[-3:] == [
        f"summary: '{folder}/summary.md'",
        f"in a browser: '{folder}/summary.html'",
        f"curves: tensorboard --logdir '{folder}'",
    ]
    result = Result.from_dict(job(parameters=1, seconds_training=1.0, samples_per_second=None))
    print_result(result, folder / "0", folder)
    assert f"curves tensorboard --logdir '{folder}'" in " ".join(capsys.readouterr().out.split())


def test_columns_of_a_table_have_their_own_names(capsys):
    area, kind = "data.columns.utf8_617265612c206dc2b2", "data.columns.utf8_eca285eba598"

    def of(best, **types):
        words = [f"++{area}={types['area']}", f"++{kind}={types['kind']}"]
        one = job({}, best) | {"swept": [area, kind], "overrides": words}
        one["settings"]["data"]["columns"] = {"area, m²": types["area"], "종류": types["kind"]}
        return one

    board = rank([of(0.9, area="number", kind="category"), of(0.8, area="number", kind="drop")])
    assert board.columns == ["data.columns.area, m²", "data.columns.종류"]
    lines = printed(capsys, board)
    assert lines[1].startswith("rank area, m² 종류 val/accuracy") and lines[2].startswith("1 number category 0.9")
    command = "the winner: python scripts/train.py 'data.columns.area, m²=number' data.columns.종류=category"
    assert command.replace("data.columns.종류=category", "'data.columns.종류=category'") in lines
    assert "utf8_" not in as_csv(board) + as_markdown(board)


def test_folders_and_labels_have_the_columns_names():
    from litlab.sweeps.naming import folder_name, swept_values

    swept = ["data.columns.utf8_782e31", "data.columns.utf8_eca285eba598", LR]
    values = swept_values([f"++{swept[0]}=drop", f"++{swept[1]}=text", f"{LR}=0.1"], swept)
    assert values == {"x.1": "drop", "종류": "text", "lr": "0.1"}
    assert folder_name(2, values) == "2_x.1=drop,종류=text,lr=0.1"


def test_values_in_a_list_are_readable_in_any_script():
    board = rank([job({"model.hidden_sizes": ["한국어"]}), job({"model.hidden_sizes": ["b"]}, 0.5)])
    assert table(board, 1)[1][1] == '["한국어"]'
