"""result.json: completed, failed and interrupted; whole or not there."""

import contextlib
import errno
import json
import math
import os
import secrets
import signal
import subprocess
import sys
import time

import pytest

from litlab.errors import Interrupted, RequestError, RunError
from litlab.files import write_atomic
from litlab.runs import heartbeat
from litlab.runs.heartbeat import is_alive
from litlab.runs.recording import AlreadyBegun, recorded
from litlab.runs.result import Monitor, Result, request, settings, write


def test_completed_with_seconds_since_the_process_began(tmp_path, read_result):
    run_dir = tmp_path / "runs" / "run"
    with recorded(run_dir, Result(seed=0)) as result:
        result.metrics = {"test/accuracy": 0.5}
    read = read_result(run_dir)
    assert read["status"] == "completed" and read["error"] is None
    assert read["seed"] == 0 and read["metrics"] == {"test/accuracy": 0.5}
    assert read["seconds"] >= 0 and "T" in read["started"]
    assert set(read["git"]) == {"commit", "dirty"} and {"python", "platform", "cpus"} <= set(read["environment"])
    assert [path.name for path in run_dir.iterdir()] == ["result.json"]
    result = Result(choices={"data": "digits"}, found={"question": "?"})
    result.update(monitor=Monitor("val/loss", "min", 0.5, 3), metrics={"val/loss": 0.5}, steps=7, status="completed")
    plain = result.as_dict()
    asked = ["choices", "overrides", "swept", "seed", "settings"]
    assert list(plain) == [*asked, "status", "environment", "question", "steps", "metrics", "monitor"]
    assert plain["monitor"] == {"metric": "val/loss", "mode": "min", "best": 0.5, "epoch": 3}
    assert Result.from_dict(plain).as_dict() == plain
    with recorded(tmp_path, Result(), before=100.0):
        pass
    assert read_result(tmp_path)["seconds"] >= 100
    words = "import time; time.sleep(0.3); from litlab.runs.heartbeat import age; print(age())"
    began = time.monotonic()
    told = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert 0.29 <= float(told.stdout) <= time.monotonic() - began + 0.02  # the system counts hundredths


def test_failed(tmp_path, read_result):
    with pytest.raises(ValueError, match="no good"), recorded(tmp_path, Result()) as result:
        result.metrics = {"val/loss": math.nan, "val/accuracy": 0.5, "other": [math.inf, 1.0]}
        raise ValueError("no good")
    read = read_result(tmp_path)
    assert read["status"] == "failed"
    assert read["error"] == "ValueError: no good; not finite: metrics.val/loss, metrics.other"
    assert read["metrics"] == {"val/loss": None, "val/accuracy": 0.5, "other": [None, 1.0]}
    with pytest.raises(RequestError), recorded(tmp_path, Result()):
        raise RequestError("data=x: is not there")
    assert read_result(tmp_path)["error"] == "data=x: is not there"
    with pytest.raises(RunError, match=r"the run called sys\.exit\(3\)"), recorded(tmp_path, Result()):
        sys.exit(3)
    assert (read_result(tmp_path)["status"], read_result(tmp_path)["error"]) == ("failed", "the run called sys.exit(3)")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="no good"), recorded(tmp_path / "file", Result()):
        raise ValueError("no good")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("end", ["good", "error"])
def test_interrupted(tmp_path, read_result, number, end):
    """Also where the stopping itself brings up an error, as of a writer that is closed."""
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as stop, recorded(tmp_path, Result()) as result:
        os.kill(os.getpid(), number)
        result.steps = 7
        if end == "error":
            raise OSError("Writer is closed")
    assert stop.value.signum == number and stop.value.run_dir == tmp_path
    assert signal.getsignal(number) is before
    read = read_result(tmp_path)
    assert (read["status"], read["error"]) == ("interrupted", f"stopped by {number.name}")
    assert read["steps"] == 7  # the signal waited for the body


def no_room(monkeypatch, code=errno.ENOSPC):
    """From now on no file gets a byte more."""

    def full(path, content, once=False):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("litlab.runs.result.write_atomic", full)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk(tmp_path, read_result, monkeypatch, code):
    with pytest.raises(RunError, match="the disk is full"), recorded(tmp_path, Result()):
        assert read_result(tmp_path)["status"] == "running"
        (room,) = tmp_path.glob(".*.room")
        assert room.stat().st_blocks * 512 >= 64 * 1024
        no_room(monkeypatch, code)
        raise OSError(code, os.strerror(code))
    read = read_result(tmp_path)
    assert read["status"] == "failed" and "the disk is full" in read["error"]
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_disk_that_is_full_from_the_beginning_is_told_and_only_the_first_process_writes(tmp_path, monkeypatch):
    no_room(monkeypatch)
    with pytest.raises(RunError, match="the disk is full"), recorded(tmp_path, Result()):
        raise AssertionError("it began")
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("LOCAL_RANK", "1")
    with recorded(tmp_path, Result()):
        pass
    assert not list(tmp_path.iterdir())


def test_the_old_result_stays_whole_and_no_planted_link_is_written_through(tmp_path, short_disk, monkeypatch):
    write(tmp_path / "result.json", {"status": "old"})
    with short_disk(10), pytest.raises(OSError, match="File too large"):
        write(tmp_path / "result.json", {"status": "new"})
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert json.loads((tmp_path / "result.json").read_text()) == {"status": "old"}
    monkeypatch.setattr(secrets, "token_hex", lambda count: "guessed")
    mine, file = tmp_path / "mine", tmp_path / "run" / "result.json"
    mine.write_text("mine")
    file.parent.mkdir()
    file.symlink_to(mine)
    write(file, {"status": "completed"})
    assert not file.is_symlink() and mine.read_text() == "mine"
    assert file.stat().st_mode & 0o777 == 0o666 & ~umask()
    (file.parent / ".guessed.aside").symlink_to(mine)
    with pytest.raises(FileExistsError):
        write_atomic(file, b"new")
    assert mine.read_text() == "mine" and json.loads(file.read_text()) == {"status": "completed"}
    assert (file.parent / ".guessed.aside").is_symlink(), "what is not ours is not removed"


def umask():
    os.umask(before := os.umask(0))
    return before


def test_a_run_that_goes_on_says_so(tmp_path, read_result, monkeypatch):
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.05)
    file = tmp_path / "result.json"
    with recorded(tmp_path, Result(seed=7)):
        running = read_result(tmp_path)
        assert (running["status"], running["seed"], running["process"]["pid"]) == ("running", 7, os.getpid())
        assert is_alive(running, file)
        os.utime(file, (0, 0))
        deadline = time.monotonic() + 5
        while file.stat().st_mtime < time.time() - 60:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert read_result(tmp_path)["status"] == "completed" and not is_alive(read_result(tmp_path), file)


def test_who_is_alive(tmp_path, read_result):
    process = heartbeat.this_process()
    assert is_alive({"status": "running", "process": process}, tmp_path)
    assert is_alive({"status": "running", "process": process | {"start": None}}, tmp_path)
    assert process["start"] is None or not is_alive({"status": "running", "process": process | {"start": 1}}, tmp_path)
    file = tmp_path / "result.json"
    file.touch()
    result = {"status": "running", "process": {"host": "elsewhere", "pid": os.getpid()}}
    assert is_alive(result, file)
    os.utime(file, (time.time() - 61,) * 2)
    assert not is_alive(result, file)
    assert not is_alive(result, tmp_path / "gone") and not is_alive({"status": "running"}, file)
    code = "import sys; from pathlib import Path; from litlab.runs.recording import Result, recorded\n"
    code += f"with recorded(Path({str(tmp_path)!r}), Result()): print('begun', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        assert is_alive(read_result(tmp_path), tmp_path / "result.json")
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet buried
        assert read_result(tmp_path)["status"] == "running"
        assert not is_alive(read_result(tmp_path), tmp_path / "result.json")
    assert not is_alive(read_result(tmp_path), tmp_path / "result.json")


def test_what_is_begun_once_is_not_begun_again(tmp_path, read_result):
    with recorded(tmp_path, Result(seed=1), once=True):
        with pytest.raises(AlreadyBegun), recorded(tmp_path, Result(seed=2), once=True):
            raise AssertionError
        assert (read_result(tmp_path)["seed"], read_result(tmp_path)["status"]) == (1, "running")
    assert (read_result(tmp_path)["seed"], read_result(tmp_path)["status"]) == (1, "completed")
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_settings_are_the_same_wherever_a_run_lies_and_none_if_they_lead_nowhere(compose, tmp_path):
    one, other = compose("optimizer.lr=0.3"), compose("optimizer.lr=0.3", f"paths.data_dir={tmp_path}")
    other.sweep.on_failure, other.sweep.swept = "stop", ["seed"]
    assert one.paths.run_dir != other.paths.run_dir
    assert settings(one) == settings(other) and "paths" not in settings(one) and "sweep" not in settings(one)
    assert settings(one)["optimizer"]["lr"] == settings(one)["scheduler"]["max_lr"] == 0.3
    assert settings(one)["callbacks"]["checkpoint"]["dirpath"] == "/checkpoints"
    assert settings(one) != settings(compose("optimizer.lr=0.1"))
    one.optimizer.lr = float("inf")
    assert settings(one)["optimizer"]["lr"] == "Infinity", "plain JSON has no number for it"
    assert settings(compose("trainer.limit_val_batches=1"))["trainer"]["limit_val_batches"].__class__ is int
    config = compose()
    config.optimizer.lr = "${nowhere}"
    config.sweep.swept = ["seed"]
    asked = request(config)
    assert (asked.settings, asked.swept, asked.seed) == ({}, ["seed"], 0)


def training(root, folder, *words):
    """A run that does not end by itself, in a process of its own."""
    words = ("trainer.max_epochs=100000", "trainer.accelerator=cpu", "threads=1", "scheduler=none", *words)
    words += ("trainer.enable_progress_bar=false",)  # nobody reads the pipe
    command = [sys.executable, root / "scripts" / "train.py", *words, f"paths.log_dir={folder}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run_directory(process, folder):
    """As soon as there is a checkpoint in it."""
    deadline = time.monotonic() + 600
    while not (saved := list(folder.glob("train/runs/*/checkpoints/last.ckpt"))):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    return saved[0].parents[1]


@pytest.mark.slow
def test_stopped_runs_leave_a_whole_checkpoint_and_result(root, tmp_path, read_result):
    import torch

    numbers = signal.SIGINT, signal.SIGTERM
    runs = {number: training(root, tmp_path / number.name, "logger=none") for number in numbers}
    for number, process in runs.items():
        run_dir = run_directory(process, tmp_path / number.name)
        process.send_signal(number)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 128 + number
        assert out == "" and len(err.splitlines()) == 1 and "stopped" in err, err
        read = read_result(run_dir)
        assert read["status"] == "interrupted" and read["error"] == f"stopped by {number.name}"
        assert read["parameters"] > 0 and read["choices"]["data"] == "digits"
        for checkpoint in (run_dir / "checkpoints").iterdir():
            assert torch.load(checkpoint, weights_only=True)["state_dict"]


@pytest.mark.slow
def test_no_byte_is_left_on_the_disk(root, tmp_path, read_result):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk]).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        with training(root, disk) as process:
            run_dir = run_directory(process, disk)
            with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
                while filler.write(b"x" * 512):
                    pass
            out, err = process.communicate(timeout=300)
        assert (process.returncode, out) == (1, "")
        assert err.startswith("error: the disk is full (") and len(err.splitlines()) == 1, err
        read = read_result(run_dir)
        assert read["status"] == "failed" and read["error"].startswith("the disk is full (")
    finally:
        subprocess.run(["umount", disk], check=True)
