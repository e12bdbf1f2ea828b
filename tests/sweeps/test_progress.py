"""What a sweep says while it runs; without training."""

import io
import json
import time
from types import SimpleNamespace

import pytest
from rich.console import Console
from sweep_results import failed, job

from litlab.runs.heartbeat import this_process
from litlab.sweeps.job import Job
from litlab.sweeps.progress import Progress, progress_lines

LR = "optimizer.lr"


@pytest.fixture
def plan(tmp_path):
    """Five jobs that are planned, of which a sixth is a duplicate; their results are written by `end`."""
    folders = [tmp_path / str(number) for number in range(5)]
    jobs = [Job([f"{LR}={number}"], folder=folder) for number, folder in enumerate(folders)]
    jobs.append(Job([f"{LR}=0"], duplicate_of=jobs[0]))
    config = SimpleNamespace(sweep={"minutes": None})
    return SimpleNamespace(jobs=jobs, total=6, swept=[LR], config=config)


def end(plan, number, result):
    folder = plan.jobs[number].folder
    folder.mkdir(exist_ok=True)
    (folder / "result.json").write_text(json.dumps({key: value for key, value in result.items() if key != "run_dir"}))


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = SimpleNamespace(time=100.0)
    monkeypatch.setattr("litlab.sweeps.progress.time", SimpleNamespace(monotonic=lambda: now.time))
    return now


def test_the_line_counts_jobs_and_tells_the_best_and_the_time_left(plan, clock):
    progress = Progress(plan)
    assert list(progress.look()) == [] and progress.line() == "0 of 5 jobs done, 0 running, 5 left"
    clock.time = 110
    end(plan, 0, job({LR: 0}, 0.75, 0.5))
    end(plan, 1, failed({LR: 1}, status="running", error=None, process=this_process()))
    (line,) = progress.look()
    assert line == "1/5  lr=0  val/accuracy 0.7500  test/accuracy 0.5000  4.0 s"
    assert progress.line() == "1 of 5 jobs done, 1 running, 3 left; best val/accuracy 0.7500: lr=0; about 40 s left"
    clock.time = 113
    end(plan, 1, failed({LR: 1}, "the loss is nan"))
    assert [line[:10] for line in progress.look()] == ["2/5  lr=1 "]
    clock.time = 118
    end(plan, 2, job({LR: 2}, 0.875))
    assert [line[:10] for line in progress.look()] == ["3/5  lr=2 "] and list(progress.look()) == []
    clock.time = 119  # (118 - 110) / 2 for each of two, less 1
    assert progress.line() == (
        "3 of 5 jobs done (1 failed), 0 running, 2 left; best val/accuracy 0.8750: lr=2; about 7.0 s left"
    )
    plan.config.sweep["minutes"] = 0.4
    assert progress.line().endswith("about 5.0 s left"), "the budget ends before"
    for number in (3, 4):
        end(plan, number, job({LR: number}, 0.1))
    assert len(list(progress.look())) == 2
    assert progress.line() == "5 of 5 jobs done (1 failed), 0 running, 0 left; best val/accuracy 0.8750: lr=2"


def test_ties_are_broken_as_in_the_leaderboard(plan):
    progress = Progress(plan)
    ended = [(1, 0.9, 0.5, 1), (0, 0.9, 0.25, 3), (2, 0.9, 0.25, 2), (3, 0.8, 0.1, 0)]
    for number, best, loss, minute in ended:
        started = f"2026-11-22T01:0{minute}:00+00:00"
        end(plan, number, job({LR: number}, best, metrics={"val/loss": loss}, started=started))
        assert len(list(progress.look())) == 1
    assert "best val/accuracy 0.9000: lr=2" in progress.line(), "the lower loss, then the one that started first"


def test_a_huge_loss_has_four_digits(plan):
    progress = Progress(plan)
    end(plan, 0, job({LR: 0}, 852993792.0, 14178.857421875, metric="val/rmse", mode="min"))
    assert list(progress.look()) == ["1/5  lr=0  val/rmse 8.53e+08  test/rmse 14178.86  4.0 s"]
    assert "; best val/rmse 8.53e+08: lr=0" in progress.line()


def test_jobs_of_an_earlier_session_count_but_say_nothing_of_the_time(plan, clock):
    for number in (0, 1):
        end(plan, number, job({LR: number}, 0.5 + number / 8, metric="val/loss", mode="min"))
        plan.jobs[number].is_reported = True
    progress = Progress(plan)
    assert list(progress.look()) == []
    assert progress.line() == "2 of 5 jobs done, 0 running, 3 left; best val/loss 0.5000: lr=0"
    clock.time += 4
    end(plan, 2, job({LR: 2}, 0.25, metric="val/loss", mode="min"))
    assert len(list(progress.look())) == 1
    assert progress.line() == "3 of 5 jobs done, 0 running, 2 left; best val/loss 0.2500: lr=2; about 8.0 s left"


def test_of_two_jobs_at_once_the_first_two_are_the_start_up(plan, clock):
    progress = Progress(plan)
    for number in (0, 1):
        end(plan, number, failed({LR: number}, status="running", error=None, process=this_process()))
    assert list(progress.look()) == []
    for clock.time, number in ((120, 0), (121, 1), (124, 2), (125, 3)):  # the third is not the first two's 20 s
        end(plan, number, job({LR: number}, 0.5))
        assert len(list(progress.look())) == 1
    assert progress.line().endswith("about 2.0 s left"), "(125 - 121) / 2 for one job"


def test_a_rung_counts_its_own_jobs_and_the_best_so_far_is_of_an_earlier_rung_too(plan, clock):
    for number, best in enumerate((0.5, 0.75, 0.25)):
        monitor = {"metrics": {"val/accuracy": best}, "epochs": 1, "error": "after epoch 1"}
        end(plan, number, job({LR: number}, status="pruned", **monitor))
    rung = plan.jobs[:2]
    for each in rung:
        each.until = 3
    progress = Progress(plan, "rung 2 of 3", rung)
    assert list(progress.look()) == []
    left = "0 of 2 jobs done, 0 running, 2 left; best val/accuracy 0.7500: lr=1"
    assert progress.line() == f"rung 2 of 3: {left}"
    metrics = {"metrics": {"val/accuracy": 0.875}, "epochs": 3, "error": "after epoch 3"}
    end(plan, 0, job({LR: 0}, status="pruned", **metrics))
    clock.time = 104
    assert list(progress.look()) == ["rung 2 of 3: 1/2  lr=0  val/accuracy 0.8750  pruned: after epoch 3"]
    assert progress.line() == (
        "rung 2 of 3: 1 of 2 jobs done, 0 running, 1 left; best val/accuracy 0.8750: lr=0; about 4.0 s left"
    )


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_terminal_has_a_live_line_and_a_log_has_none(plan, monkeypatch, capsys, is_terminal):
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=200)
    monkeypatch.setattr("rich.get_console", lambda: console)
    with progress_lines(plan):
        end(plan, 0, job({LR: 0}, 0.75))
        end(plan, 1, job({LR: 1}, 0.5))
        deadline = time.monotonic() + 60
        while not plan.jobs[1].is_reported and time.monotonic() < deadline:
            time.sleep(0.01)
    drawn = console.file.getvalue()
    assert ("2 of 5 jobs done, 0 running, 3 left; best val/accuracy 0.7500: lr=0" in drawn) == is_terminal
    assert bool(drawn) == is_terminal
    said = drawn if is_terminal else capsys.readouterr().out  # rich puts what is printed above the line
    assert "1/5  lr=0  val/accuracy 0.7500" in said and "2/5  lr=1" in said
