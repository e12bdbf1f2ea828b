"""Each worker of a sweep has a GPU of its own while there are enough; a dead worker's is free. No GPU is needed."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from hydra.types import RunMode

from litlab.distributed import hardware

ONE = {"accelerator": "auto", "devices": 1}
WORKER = (
    "import sys; from pathlib import Path; from litlab.distributed.hardware import claim; folder = Path(sys.argv[1]);"
)
WORKER += "print(claim(folder, 2), claim(folder, 2), flush=True); sys.stdin.read()"


@pytest.fixture
def worker(tmp_path, root):
    """Start a process that claims one of two GPUs, twice, and keeps it; the process and what it got."""
    workers = []

    def start():
        words = [sys.executable, "-c", WORKER, str(tmp_path)]
        pipe = subprocess.PIPE
        started = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, cwd=root / "src")
        workers.append(started)
        return started, started.stdout.readline().split()

    yield start
    for each in workers:
        each.kill()
        each.communicate()


@pytest.mark.slow
def test_workers_take_gpus_by_turns_and_a_dead_one_gives_its_own_back(worker):
    (first, one), (_, two), (_, three) = worker(), worker(), worker()
    assert [one, two, three] == [["0", "0"], ["1", "1"], ["0", "0"]]
    first.kill()
    first.wait()
    assert worker()[1] == ["0", "0"]  # the first one's place, not a third turn
    assert worker()[1] == ["1", "1"]


@pytest.fixture
def in_sweep(monkeypatch, tmp_path):
    def begin(mode=RunMode.MULTIRUN, folder=tmp_path):
        hydra = SimpleNamespace(mode=mode, sweep=SimpleNamespace(dir=str(folder)))
        monkeypatch.setattr(
            "litlab.config.job.HydraConfig", SimpleNamespace(initialized=lambda: True, get=lambda: hydra)
        )
        monkeypatch.setattr(hardware, "_mine", {})

    return begin


def test_a_job_of_a_sweep_trains_on_its_workers_gpu(in_sweep, tmp_path):
    in_sweep()
    assert hardware.device(ONE, 4) == [0]
    assert hardware.device(ONE, 4) == [0]  # the next job of the same worker
    hardware._mine.clear()  # its lock is let go with it
    assert hardware.device(ONE | {"accelerator": "gpu"}, 4) == [0]
    in_sweep(folder=tmp_path / "another")
    assert hardware.device(ONE | {"accelerator": "cuda"}, 4) == [0]


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (ONE, 0),
        (ONE, 1),
        (ONE | {"accelerator": "cpu"}, 4),
        (ONE | {"devices": [2]}, 4),
        (ONE | {"devices": "auto"}, 4),
    ],
)
def test_what_was_asked_stays_where_there_is_no_choice(in_sweep, settings, count):
    in_sweep()
    assert hardware.device(settings, count) == settings["devices"]
    assert hardware._mine == {}


def test_a_single_run_takes_the_first_as_ever(in_sweep):
    in_sweep(mode=RunMode.RUN)
    assert hardware.device(ONE, 4) == 1


def test_the_gpus_that_the_user_chose_are_the_visible_ones(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 3")
    assert hardware.visible() == ["2", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert hardware.visible() == []
