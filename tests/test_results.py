"""result.json: completed, failed and interrupted; whole or not there."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from litlab.errors import Interrupted, RunError
from litlab.results import recorded, write


def test_completed(tmp_path, read_result):
    with recorded(tmp_path / "run", {"seed": 0}) as result:
        result["metrics"] = {"test/accuracy": 0.5}
    read = read_result(tmp_path / "run")
    assert read["status"] == "completed" and read["error"] is None
    assert read["seed"] == 0 and read["metrics"] == {"test/accuracy": 0.5}
    assert read["seconds"] >= 0 and "T" in read["started"]
    assert set(read["git"]) == {"commit", "dirty"} and {"python", "platform", "cpus"} <= set(read["environment"])
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["result.json"]


def test_failed(tmp_path, read_result):
    with pytest.raises(ValueError, match="no good"), recorded(tmp_path, {}) as result:
        result["metrics"] = {"val/loss": math.nan, "val/accuracy": 0.5, "other": [math.inf, 1.0]}
        raise ValueError("no good")
    read = read_result(tmp_path)
    assert read["status"] == "failed"
    assert read["error"] == "ValueError: no good; not finite: metrics.val/loss, metrics.other"
    assert read["metrics"] == {"val/loss": None, "val/accuracy": 0.5, "other": [None, 1.0]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path, read_result, number):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as stop, recorded(tmp_path, {}):
        os.kill(os.getpid(), number)
        time.sleep(5)
    assert stop.value.signum == number
    assert signal.getsignal(number) is before
    read = read_result(tmp_path)
    assert read["status"] == "interrupted" and read["error"] == f"stopped by {number.name}"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk(tmp_path, read_result, code):
    with pytest.raises(RunError, match="the disk is full"), recorded(tmp_path, {}):
        raise OSError(code, os.strerror(code))
    assert "the disk is full" in read_result(tmp_path)["error"]


def test_a_result_that_cannot_be_written_does_not_hide_the_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="no good"), recorded(tmp_path / "file", {}):
        raise ValueError("no good")


def test_the_old_result_stays_whole_while_the_new_one_is_written(tmp_path, monkeypatch):
    write(tmp_path / "result.json", {"status": "old"})

    def full(self, text, encoding):
        with open(self, "w") as file:
            file.write(text[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / "result.json", {"status": "new"})
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert json.loads((tmp_path / "result.json").read_text()) == {"status": "old"}


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    with recorded(tmp_path, {}):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_stopped_runs_leave_a_whole_checkpoint_and_result(root, tmp_path, read_result):
    """Real signals to real runs, both at once to save time."""
    import torch

    runs = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        words = ["trainer.max_epochs=100000", "trainer.accelerator=cpu", "threads=1", "logger=none", "scheduler=none"]
        command = [
            sys.executable,
            str(root / "scripts" / "train.py"),
            *words,
            f"paths.log_dir={tmp_path / number.name}",
        ]
        runs[number] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for number, process in runs.items():
        deadline = time.monotonic() + 90
        while not (saved := list(tmp_path.glob(f"{number.name}/train/runs/*/checkpoints/last.ckpt"))):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 128 + number
        assert out == "" and len(err.splitlines()) == 1 and "stopped" in err, err
        run_dir = saved[0].parents[1]
        read = read_result(run_dir)
        assert read["status"] == "interrupted" and read["error"] == f"stopped by {number.name}"
        assert read["parameters"] > 0 and read["choices"]["data"] == "digits"
        for checkpoint in (run_dir / "checkpoints").iterdir():
            assert torch.load(checkpoint, weights_only=True)["state_dict"]
