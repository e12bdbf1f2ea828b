"""The script summarize.py: one sweep, several, a wrong folder; and that it does not wait for torch."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sweep_results import job, save

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(root: Path) -> Run:
    def ran(*words: object, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *python, str(root / "scripts" / "summarize.py"), *map(str, words)]
        return subprocess.run(
            command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(root / "src")}
        )

    return ran


def test_one_sweep_is_summarized_where_it_lies_without_torch(run: Run, tmp_path: Path) -> None:
    folder = save(tmp_path, [job({"optimizer.lr": lr}, lr) for lr in (0.1, 0.2)])
    done = run(folder, python=("-X", "importtime"))
    assert done.returncode == 0, done.stderr
    assert "the winner: python scripts/train.py optimizer.lr=0.2 seed=0" in done.stdout
    assert (folder / "summary.csv").exists()
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "litlab.sweeps.leaderboard" in loaded and not {"torch", "lightning", "sklearn"} & loaded


def test_joined_sweeps_need_a_folder_of_their_own(run: Run, tmp_path: Path) -> None:
    done = run(tmp_path, tmp_path)
    assert done.returncode == 2 and "--out" in done.stderr.splitlines()[-1]


def test_a_wrong_folder_is_one_line(run: Run, tmp_path: Path) -> None:
    done = run(tmp_path / "absent")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path / 'absent'}: no such folder; name the folder of a sweep")
