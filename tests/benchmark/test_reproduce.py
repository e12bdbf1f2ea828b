"""scripts/reproduce.py: what is asked gets new entries and rows, all else stays; failures and mistakes are told."""

import json
import os
import platform
import shutil
import subprocess
import sys

import pytest

from litlab.benchmark import reproduce as module
from litlab.benchmark.measurements import Measurement, Reference, read, read_tables, reference
from litlab.benchmark.page import page, row
from litlab.benchmark.reproduce import measure, reproduce, write_page
from litlab.errors import RequestError, RunError

KNOWN = module.choices()["experiment"]
REPOSITORY = module.ROOT


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A copy without runs: results.json, but no logs/."""
    shutil.copy(REPOSITORY / "results.json", tmp_path)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def fake_training(here, monkeypatch):
    """Let trainings take no time, and let those in `bad` fail; what was trained."""

    def begin(*bad):
        runs = []

        def train(name, seed, data_dir):
            runs.append((name, seed))
            status = "failed" if (name, seed) in bad else "completed"
            write_result(here, name, seed, status, dict.fromkeys(reference(name).metrics, 0.5 + seed))
            return status == "completed"

        monkeypatch.setattr(module, "train", train)
        return runs

    return begin


def write_result(root, name, seed, status, metrics):
    environment = {"device": "abacus", "cpus": 10, "threads": 1, "python": "3.11", "torch": "2", "lightning": "2"}
    result = {"status": status, "metrics": metrics, "environment": environment, "test_split": "test"}
    result |= {"seconds_training": 2.0, "samples_per_second": 1000, "git": {"commit": "abc1234567", "dirty": True}}
    file = root / "logs" / "reproduce" / name / f"seed{seed}" / "result.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result), encoding="utf-8")


def run(*experiments, seeds=2, jobs=1):
    reproduce(list(experiments), seeds=seeds, jobs=jobs, again=False, data_dir="data")


def test_what_was_asked_gets_new_entries_and_all_else_stays(here, fake_training):
    write_page()
    assert (here / "RESULTS.md").read_text("utf-8") == (REPOSITORY / "RESULTS.md").read_text("utf-8"), (
        "run python scripts/reproduce.py --page"
    )
    runs, before = fake_training(), read(here / "results.json")
    write_result(here, "mnist_mlp", 0, "completed", {"test/accuracy": 0.1})  # not asked for
    run("line", "exam_scores")
    assert runs == [("line", 0), ("line", 1), ("exam_scores", 0), ("exam_scores", 1)]
    after = read(here / "results.json")
    assert list(after) == list(KNOWN), "in order"
    assert {name for name in KNOWN if after[name] != before[name]} == {"line", "exam_scores"}
    machine = f"abacus ({platform.machine()}, 10 cores, 1 thread), Python 3.11, torch 2, lightning 2"
    command, spread = "python scripts/train.py experiment=line", {"mean": 1.0, "std": pytest.approx(0.5**0.5), "n": 2}
    assert after["line"] == Measurement(
        command, "test", {"test/loss": spread}, 2.0, 1000, [machine], ["abc1234 and changes"]
    )
    text = (here / "RESULTS.md").read_text(encoding="utf-8")
    assert text == page(after, KNOWN, read_tables(here / "results.json"))
    (line,) = [line for line in text.splitlines() if line.startswith("| line |")]
    its = reference("line").metrics["test/loss"]
    assert line == f"| line | test/loss | {its} | 1 ± 0.71 | 2 | 2.0 | 1,000 | abc1234 and changes |"
    assert f"\n- {machine}\n" in text
    (here / "results.json").unlink()
    fake_training()
    run("line", "line", seeds=1, jobs=2)
    rows = [line for line in (here / "RESULTS.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == ["| experiment", "| line"]


def test_a_failed_run_is_told_and_its_experiment_keeps_its_entry(here, fake_training):
    runs, before = fake_training(("line", 1)), read(here / "results.json")
    with pytest.raises(RunError) as error:
        run("line", "exam_scores")
    message = "experiment=line seed=1: failed; RESULTS.md keeps its former row; see logs/reproduce/line/seed1"
    assert str(error.value) == message
    assert len(runs) == 4, "the others go on"
    after = read(here / "results.json")
    assert after["line"] == before["line"]
    assert after["exam_scores"].metrics["test/loss"]["mean"] == 1.0


@pytest.mark.parametrize(("code", "success"), [(0, True), (1, False), (-9, False)])
def test_a_training_succeeds_by_its_exit_code(monkeypatch, code, success):
    asked = []
    done = subprocess.CompletedProcess([], code)
    monkeypatch.setattr(module.subprocess, "run", lambda command, **_: asked.append(command[1:4]) or done)
    assert module.train("line", 3, "data") is success
    assert asked == [["scripts/train.py", "experiment=line", "seed=3"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"experiments": ["nosuch"]}, "experiment=nosuch: there is no such experiment; choose from breast"),
        ({"seeds": 0}, "--seeds 0: must be a whole number from 1"),
        ({"jobs": -1}, "--jobs -1: must be a whole number from 1"),
    ],
)
def test_a_wrong_request_trains_nothing(fake_training, options, message):
    runs = fake_training()
    with pytest.raises(RequestError) as error:
        run(*options.pop("experiments", ()), **options)
    assert str(error.value).startswith(message)
    assert runs == []


def test_a_mistake_is_one_line(root):
    script = [sys.executable, str(root / "scripts" / "reproduce.py"), "--jobs", "0"]
    done = subprocess.run(script, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(root / "src")})
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: --jobs 0: ")


def test_a_row_has_mean_and_deviation_of_the_runs_that_have_the_metric(monkeypatch):
    its = Reference(metrics={"test/loss": "0.2", "test/rmse": "-", "train/loss": "-"}, source="")
    monkeypatch.setattr(module, "reference", lambda name: its)
    environment = {"device": "cpu", "cpus": 1, "threads": 1, "python": "3", "torch": "2", "lightning": "2"}
    losses = [({"test/loss": 0.25, "train/loss": 1.0}, 2.0), ({"test/loss": None, "train/loss": 2.0}, 1.0)]
    results = [
        {"metrics": metrics, "seconds_training": seconds, "samples_per_second": 2000 / seconds, "test_split": "train"}
        | {"environment": environment, "git": {"commit": "a"}}
        for metrics, seconds in losses
    ]
    ours = measure("some", results)
    assert [row("some", metric, ours, its) for metric in ours.metrics] == [
        "| some | test/loss (on the training split) | 0.2 | 0.25 ± 0 | 1 | 1.0 | 2,000 | a |",
        "| some | test/rmse (on the training split) | - | - | 0 | 1.0 | 2,000 | a |",
        "| some | train/loss | - | 1.5 ± 0.71 | 2 | 1.0 | 2,000 | a |",
    ]
