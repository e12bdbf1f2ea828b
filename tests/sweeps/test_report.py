"""What a sweep tells on the terminal."""

from pathlib import Path

import pytest
from sweep_results import failed, job, rank

from litlab.runs.report import print_result
from litlab.runs.result import Result
from litlab.sweeps.report import print_leaderboard

LR = "optimizer.lr"


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip(" ─")]


def test_leaderboard_has_the_top_ten_and_what_trains_the_winner(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [job({LR: lr}, 1 - lr / 64, 0.5) for lr in range(1, 13)]
    print_leaderboard(rank([*jobs, failed({LR: 99})]), Path("logs/sweep"))
    said = lines(capsys)
    assert said[1] == "rank lr val/accuracy test/accuracy n train s status"
    assert said[2] == "1 1 0.9844 0.5000 1 4.0 completed"
    assert said[11].startswith("10 10 ")
    assert said[12:] == [
        "... and 3 more",
        "the winner: python scripts/train.py optimizer.lr=1 seed=0",
        "summary: logs/sweep/summary.md",
    ]


def test_no_number_is_cut_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    swept = {LR: 0.00123, "data.batch_size": 4096, "model": "mlp[bold]"}
    jobs = [job(swept, best, best, seed=seed) for seed, best in enumerate((0.91234, 0.92345))]
    print_leaderboard(rank([*jobs, failed({LR: 1.0}, "RunError: " + 8 * "no room ")]), Path("/sweep"))
    said = lines(capsys)
    assert "1 0.00123 4096 mlp[bold] 0.9179 ± 0.0079 0.9179 ± 0.0079 2 4.0 completed" in said
    assert said[0].startswith("2 settings of optimizer.lr, data.batch_size, model; jobs: 2 completed, 1 failed.")


@pytest.mark.parametrize("width", [40, 80, 110])
def test_a_status_is_whole_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    jobs = [job({LR: 0.00123 * k, "data.batch_size": 2**k, "optimizer.weight_decay": 1e-5 * k}, 0.9) for k in (1, 2, 3)]
    print_leaderboard(rank([*jobs, *({**each, "seed": 1} for each in jobs)]), Path("/sweep"))
    said = capsys.readouterr().out.splitlines()
    assert sum(line.rstrip().endswith(" completed") for line in said) == 3
    assert sum("train s   status" in line for line in said) == 1


def test_nothing_wins_where_nothing_is_ranked(capsys: pytest.CaptureFixture[str]) -> None:
    print_leaderboard(rank([job({LR: 1}, None, 0.5)]), Path("/sweep"))
    said = lines(capsys)
    assert not any("winner" in line for line in said)
    assert any(line.startswith("warning: 1 setting is not ranked") for line in said)


def test_there_may_be_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    print_leaderboard(rank([{"status": "unreadable", "error": "half of it", "run_dir": "s/0"}]), Path("/sweep"))
    said = lines(capsys)
    assert "rank n train s status" in said and "warning: s/0/result.json cannot be read: half of it" in said


def test_each_metric_has_its_winner(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [job({"data": "digits"}, 0.9), job({"data": "breast_cancer"}, 0.99, metric="val/auroc")]
    print_leaderboard(rank(jobs), Path("/sweep"))
    assert [line for line in lines(capsys) if "winner" in line] == [
        "the winner by val/accuracy: python scripts/train.py data=digits seed=0",
        "the winner by val/auroc: python scripts/train.py data=breast_cancer seed=0",
    ]


def test_paths_are_quoted_for_a_shell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    folder = tmp_path / "with space"
    (folder / "0" / "tensorboard").mkdir(parents=True)
    print_leaderboard(rank([job({LR: 1})]), folder)
    assert lines(capsys)[-2:] == [f"summary: '{folder}/summary.md'", f"curves: tensorboard --logdir '{folder}'"]
    result = Result.from_dict(job(parameters=1, seconds_training=1.0, samples_per_second=None))
    print_result(result, folder / "0", folder)
    assert f"curves tensorboard --logdir '{folder}'" in lines(capsys)


@pytest.mark.parametrize("width", [80, 120])
def test_an_error_takes_the_room_that_is_left_and_is_not_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    error = "optimizer.lr=abc: " + "a-word-of-more-than-thirty-characters must be a number above 0, as 0.01"
    print_leaderboard(rank([job({LR: 0.1}), failed({LR: "abc"}, error)]), Path("/sweep"))
    said = capsys.readouterr().out.splitlines()
    start = next(line.index("status") for line in said if "status" in line)
    table = [line for line in said if len(line) == len(said[2])]
    assert "".join(line[start:] for line in table[3:]).replace(" ", "") == f"completedfailed:{error}".replace(" ", "")
    assert all(len(line) <= width for line in table)
