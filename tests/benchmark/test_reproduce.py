"""scripts/reproduce.py: what is asked gets new rows in RESULTS.md, all else stays; failures and mistakes are told."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from litlab.benchmark import reproduce as module
from litlab.benchmark.reproduce import experiment_rows, reference, reproduce, results_page, spread
from litlab.errors import RequestError, RunError

Trained = list[tuple[str, int]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy without results: the repository's RESULTS.md and conf/, but no logs/."""
    page = (module.ROOT / "RESULTS.md").read_text(encoding="utf-8")
    (tmp_path / "RESULTS.md").write_text(page, encoding="utf-8")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def trained(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Trained]:
    """Let trainings take no time, and let those in `bad` fail; what was trained."""

    def let(*bad: tuple[str, int]) -> Trained:
        runs: Trained = []

        def train(name: str, seed: int, data_dir: str) -> bool:
            runs.append((name, seed))
            metrics = dict.fromkeys(reference(name).metrics, 0.5 + seed)
            write(here, name, seed, "failed" if (name, seed) in bad else "completed", metrics)
            return (name, seed) not in bad

        monkeypatch.setattr(module, "train", train)
        return runs

    return let


def write(root: Path, name: str, seed: int, status: str, metrics: dict[str, float]) -> None:
    environment = {"device": "abacus", "cpus": 10, "threads": 1, "python": "3.11", "torch": "2", "lightning": "2"}
    result: dict[str, Any] = {"status": status, "metrics": metrics, "environment": environment}
    result |= {"seconds_training": 2.0, "samples_per_second": 1000, "git": {"commit": "abc123", "dirty": True}}
    file = root / "logs" / "reproduce" / name / f"seed{seed}" / "result.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result), encoding="utf-8")


def about(page: str, *names: str) -> list[str]:
    """The lines on these experiments, each with what belongs to it."""
    lines, mine = [], False
    for line in page.splitlines():
        mine = (mine and line.startswith("  ")) or any(
            line.startswith(f"| {name} |") or f"experiment={name}`" in line or f"experiment={name} " in line
            for name in names
        )
        lines += [line] * mine
    return lines


def test_rows_and_notes_of_other_experiments_stay(here: Path, trained: Callable[..., Trained]) -> None:
    runs, before = trained(), (here / "RESULTS.md").read_text(encoding="utf-8")
    reproduce(["line", "exam_scores"], seeds=2, jobs=1, again=False, data_dir="data")
    assert runs == [("line", 0), ("line", 1), ("exam_scores", 0), ("exam_scores", 1)]
    after = (here / "RESULTS.md").read_text(encoding="utf-8")
    (row,) = [line for line in after.splitlines() if line.startswith("| line |")]
    assert row == "| line | test/loss | below 1e-5, with the document's seed 1 | 1 ± 0.71 | 2 | 2.0 | 1,000 |"
    new, old = set(after.splitlines()), set(before.splitlines())
    machine = "- abacus (x86_64, 10 cores, 1 thread), Python 3.11, torch 2, lightning 2, commit abc123"
    monkey = machine.replace("x86_64", module.platform.machine())
    assert {line.partition("|")[0] or line.split("|")[1] for line in new - old} == {" line ", " exam_scores ", monkey}
    assert {line.split("|")[1] for line in old - new} == {" line ", " exam_scores "}
    assert len(after.splitlines()) == len(before.splitlines()) + 1


def test_the_page_of_nothing_new_is_the_page_before() -> None:
    before = (module.ROOT / "RESULTS.md").read_text(encoding="utf-8")
    assert results_page(list(module.choices()["experiment"]), [], before) == before


def test_what_was_measured_here_changes_nothing_that_was_not_asked_for(
    here: Path, trained: Callable[..., Trained]
) -> None:
    before = (here / "RESULTS.md").read_text(encoding="utf-8")
    write(here, "mnist_mlp", 0, "completed", {"test/accuracy": 0.1})
    trained()
    reproduce(["line"], seeds=1, jobs=1, again=False, data_dir="data")
    after = (here / "RESULTS.md").read_text(encoding="utf-8")
    assert len(about(before, "mnist_mlp")) == 4
    assert about(after, "mnist_mlp") == about(before, "mnist_mlp")


def test_without_a_page_there_is_one_of_what_was_asked(here: Path, trained: Callable[..., Trained]) -> None:
    (here / "RESULTS.md").unlink()
    trained()
    reproduce(["line", "line"], seeds=1, jobs=2, again=False, data_dir="data")
    rows = [line for line in (here / "RESULTS.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == ["| experiment", "| line"]


def test_a_failed_run_is_told_and_its_experiment_keeps_its_rows(here: Path, trained: Callable[..., Trained]) -> None:
    runs, before = trained(("line", 1)), (here / "RESULTS.md").read_text(encoding="utf-8")
    with pytest.raises(RunError) as told:
        reproduce(["line", "exam_scores"], seeds=2, jobs=1, again=False, data_dir="data")
    line = "experiment=line seed=1: failed; RESULTS.md keeps what it had of it; see logs/reproduce/line/seed1"
    assert str(told.value) == line
    assert len(runs) == 4, "the others go on"
    after = (here / "RESULTS.md").read_text(encoding="utf-8")
    assert about(after, "line") == about(before, "line") != []
    assert about(after, "exam_scores")[0].endswith("| 1 ± 0.71 | 2 | 2.0 | 1,000 |")


@pytest.mark.parametrize(("code", "well"), [(0, True), (1, False), (-9, False)])
def test_how_a_training_ended_is_its_exit_code(monkeypatch: pytest.MonkeyPatch, code: int, well: bool) -> None:
    asked = []

    def run(command: list[str], **_: Any) -> Any:
        asked.append(command[1:4])
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr(module.subprocess, "run", run)
    assert module.train("line", 3, "data") is well
    assert asked == [["scripts/train.py", "experiment=line", "seed=3"]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"experiments": ["nosuch"]}, "experiment=nosuch: there is no such; choose from breast_cancer_logistic, cal"),
        ({"seeds": 0}, "--seeds 0: must be a whole number from 1"),
        ({"jobs": -1}, "--jobs -1: must be a whole number from 1"),
    ],
)
def test_a_wrong_request_trains_nothing(trained: Callable[..., Trained], changes: dict[str, Any], message: str) -> None:
    runs = trained()
    asked: dict[str, Any] = {"experiments": [], "seeds": None, "jobs": 1, "again": False, "data_dir": "data"} | changes
    with pytest.raises(RequestError) as told:
        reproduce(**asked)
    assert str(told.value).startswith(message)
    assert runs == []


@pytest.mark.parametrize("words", [("nosuch",), ("--jobs", "0"), ("--seeds", "0")])
def test_a_mistake_is_one_line(root: Path, words: tuple[str, ...]) -> None:
    script = [sys.executable, str(root / "scripts" / "reproduce.py"), *words]
    done = subprocess.run(script, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(root / "src")})
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and words[-1] in line


def test_a_row_has_mean_and_deviation_of_those_that_have_the_metric() -> None:
    results = [{"seconds_training": 3.0 - seed, "samples_per_second": 1000 * seed} for seed in (1, 2)]
    results[0]["metrics"], results[1]["metrics"] = {"test/loss": 0.25}, {"test/loss": None}
    shown = module.Reference(metrics={"test/loss": "0.2", "test/rmse": "-"}, source="")
    assert experiment_rows("some", shown, results) == [
        "| some | test/loss | 0.2 | 0.25 ± 0 | 1 | 1.0 | 2,000 |",
        "| some | test/rmse | - | - | 0 | 1.0 | 2,000 |",
    ]
    assert spread([1.0, 2.0, 3.0]) == "2 ± 1"
