"""The script summarize.py: one sweep, several, a wrong folder; and that it does not wait for torch."""

import os
import subprocess
import sys

import pytest
from sweep_results import by_rate, save


@pytest.fixture
def run(root):
    environment = os.environ | {"PYTHONPATH": str(root / "src")}
    python = [sys.executable, "-X", "importtime", str(root / "scripts" / "summarize.py")]
    return lambda *words: subprocess.run([*python, *map(str, words)], capture_output=True, text=True, env=environment)


def errors(done):
    return [line for line in done.stderr.splitlines() if not line.startswith("import time:")]


@pytest.mark.slow
def test_one_sweep_is_summarized_where_it_lies_without_torch(run, tmp_path):
    folder = save(tmp_path, by_rate({0.1: 0.1, 0.2: 0.2}))
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert "the winner: python scripts/train.py optimizer.lr=0.2 seed=0" in done.stdout
    assert (folder / "summary.csv").exists()
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "litlab.sweeps.leaderboard" in loaded and not {"torch", "lightning", "sklearn"} & loaded


def test_what_cannot_be_summarized_is_told_in_one_line(run, tmp_path):
    done = run(tmp_path, tmp_path)  # joined sweeps need a folder of their own
    assert done.returncode == 2 and "--out" in errors(done)[-1]
    done = run(tmp_path / "absent")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = errors(done)
    assert line.startswith(f"error: {tmp_path / 'absent'}: no such folder; name the folder of a sweep")
