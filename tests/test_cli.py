"""The command line: what a user sees of mistakes, and the exit codes. Most of it in this process, by main()."""

import importlib.util
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SMALL = ("trainer.accelerator=cpu", "threads=1", "trainer.max_epochs=1", "logger=none")


@pytest.fixture
def script(root):
    return root / "scripts" / "train.py"


@pytest.fixture
def command(script, tmp_path, monkeypatch, capsys):
    """Run scripts/train.py in this process: the exit code, stdout and stderr."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.singleton import Singleton

    spec = importlib.util.spec_from_file_location("script", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    state, handlers, level = Singleton.get_state(), logging.root.handlers[:], logging.root.level

    def run(*words: str) -> tuple[int, str, str]:
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", [str(script), *words[:1], f"paths.log_dir={tmp_path / 'logs'}", *words[1:]])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            module.main()
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    yield run
    logging.captureWarnings(False)
    logging.root.handlers[:], logging.root.level = handlers, level
    GlobalHydra.instance().clear()
    Singleton.set_state(state)
    HydraConfig.instance().cfg = None


def outside(script, *words, cwd, **kwargs):
    return subprocess.run(
        [sys.executable, str(script), *words], capture_output=True, text=True, cwd=cwd, timeout=100, **kwargs
    )


# ---- help


def test_help_lists_the_choices_in_under_a_second(script, root, tmp_path):
    fastest = 10.0
    for _ in range(3):  # the machine may be busy with other tests
        started = time.perf_counter()
        done = outside(script, "--help", cwd=tmp_path)
        fastest = min(fastest, time.perf_counter() - started)
    assert done.returncode == 0 and not done.stderr
    assert fastest < 1
    assert "python scripts/train.py data=fashion model=mlp" in done.stdout
    for folder in (path for path in (root / "conf").iterdir() if path.is_dir()):
        text = done.stdout.split(f"\n{folder.name}:\n")[1]
        for file in folder.glob("*.yaml"):
            assert f"\n  {file.stem} " in f"\n{text}", file


def test_help_imports_neither_torch_nor_hydra(script, tmp_path):
    code = (
        "import runpy, sys; sys.argv = ['train.py', '--help']\n"
        f"try: runpy.run_path({str(script)!r}, run_name='__main__')\n"
        "except SystemExit: print('LOADED', *{'torch', 'lightning', 'hydra'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1].split() == ["LOADED"]


# ---- mistakes

MISTAKES = {  # what is asked: what the one line must hold (a right value among it)
    "data=fashoin": ("data=fashoin:", "fashion", "mnist", "digits"),
    "model=mpl": ("model=mpl:", "mlp", "linear"),
    "optimizer=sdg": ("optimizer=sdg:", "sgd", "adam"),
    "data.batch_size=0": ("data.batch_size=0:", "64"),
    "data.batch_size=1.5": ("data.batch_size=1.5:", "64"),
    "data.val_size=-1": ("data.val_size=-1:", "0.1"),
    "trainer.max_epochs=abc": ("trainer.max_epochs=abc:", "10"),
    "trainer.max_epochs=1.5": ("trainer.max_epochs=1.5:", "10"),
    "optimizer.lr=-1": ("optimizer.lr=-1:", "0.01"),
    "optimizer.lr=0": ("optimizer.lr=0:", "0.01"),
    "optimizer.lr=fast": ("optimizer.lr=fast:", "0.01"),
    "optimizer.momentum=1.5": ("optimizer.momentum=1.5:", "0.9"),
    "seed=-1": ("seed=-1:", "0"),
    "seed=null": ("seed=None:", "0"),
    "task.steps_per_execution=0": ("task.steps_per_execution=0:", "16"),
    "scheduler.interval=batch": ("scheduler.interval=batch:", "step, epoch"),
    "model.dropout=1": ("model.dropout=1:", "0.1"),
    "resume_from=nowhere.ckpt": ("resume_from=nowhere.ckpt:", "checkpoints/last.ckpt"),
    "optimizer.lrr=0.1": ("optimizer.lrr:", "lr", "momentum"),
    "nonsense=1": ("nonsense:", "data", "seed"),
    "data.batch_size": ("data.batch_size",),
    "data=[": ("data=[",),
}


@pytest.mark.parametrize("asked", MISTAKES)
def test_a_mistake_is_one_line(command, asked):
    code, out, err = command(*SMALL, asked)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert err.startswith("error: ")
    for words in MISTAKES[asked]:
        assert words in err


LATE_MISTAKES = {  # told by torch, Lightning or the data
    "data.val_size=1700": ("data.val_size=1700:", "143"),
    "data.test_size=1797": ("data.test_size=1797:", "179"),
    "model.activation=Relu": ("model.activation=Relu:", "ReLU"),
    "model.hidden_sizes=[-3]": ("model",),
    "trainer.precision=31": ("trainer", "32"),
    "trainer.accelerator=abacus": ("trainer", "abacus", "cpu"),
    "trainer.max_epohcs=3": ("trainer.max_epohcs", "max_epochs"),
    "optimizer.momentum=0": ("optimizer", "momentum"),  # with Nesterov
}


@pytest.mark.parametrize("asked", LATE_MISTAKES)
def test_a_mistake_that_others_find_is_one_line(command, asked):
    code, out, err = command(*SMALL, asked)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    for words in LATE_MISTAKES[asked]:
        assert words in err


def test_all_mistakes_are_told_at_once(command):
    code, _, err = command(*SMALL, "data.batch_size=0", "optimizer.lr=-1", "seed=x")
    assert code == 2
    assert [line.split("=")[0] for line in err.splitlines()] == [
        "error: seed", "error: data.batch_size", "error: optimizer.lr",
    ]  # fmt: skip


def test_a_mistake_is_told_before_torch_is_imported(script, tmp_path):
    started = time.perf_counter()
    done = outside(script, "optimizer.lr=-1", f"paths.log_dir={tmp_path}", "-c", "job", cwd=tmp_path)
    assert done.returncode == 0  # --cfg job shows the config, wrong as it may be
    code = (
        "import runpy, sys; sys.argv = ['train.py', 'optimizer.lr=-1', 'paths.log_dir=logs']\n"
        f"try: runpy.run_path({str(script)!r}, run_name='__main__')\n"
        "except SystemExit as end: print('LOADED', end.code, *{'torch', 'lightning'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == ["LOADED", "2"]
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize("asked", [["trainer=gpu"], ["trainer.accelerator=gpu"], ["trainer=mps"]])
def test_a_gpu_where_there_is_none(command, monkeypatch, asked):
    import torch

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    code, out, err = command("threads=1", *asked)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert f"trainer.accelerator={asked[0].split('=')[1]}" in err and "trainer=cpu" in err


@pytest.mark.parametrize("place", ["file/logs", "/proc/logs", "/dev/null/logs"])
def test_logs_that_cannot_be_written(command, tmp_path, place):
    (tmp_path / "file").touch()
    code, out, err = command(*SMALL, f"paths.log_dir={place}")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    assert "paths.log_dir: cannot write" in err


def test_an_error_of_ours_is_one_line_and_a_traceback_on_request(command, monkeypatch):
    import litlab.train

    def broken(config, result):
        raise KeyError("no such\nthing")

    monkeypatch.setattr(litlab.train, "train", broken)
    code, out, err = command(*SMALL)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert "KeyError" in err and "test_cli.py:" in err and "LITLAB_TRACEBACK=1" in err
    monkeypatch.setenv("LITLAB_TRACEBACK", "1")
    code, _, err = command(*SMALL)
    assert code == 1 and "Traceback (most recent call last)" in err


def test_an_error_of_the_system_is_one_line(command, monkeypatch):
    import litlab.train

    def broken(config, result):
        os.stat("/no/such/file")

    monkeypatch.setattr(litlab.train, "train", broken)
    code, _, err = command(*SMALL)
    assert code == 1
    assert len(err.splitlines()) == 1 and "/no/such/file" in err and "paths.log_dir" not in err


# ---- runs


def table(text: str) -> dict[str, str]:
    rows = (
        line.split(None, 1) if "  " not in line.strip() else line.strip().split("  ", 1) for line in text.splitlines()
    )
    return {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}


@pytest.mark.slow
def test_a_run_prints_one_table_and_nothing_else(script, tmp_path, read_result):
    """In a process of its own, with default settings but for the small set: no notices, no warnings."""
    done = outside(script, "data=digits", "model=mlp", "trainer.max_epochs=2", "paths.log_dir=logs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (run_dir,) = (tmp_path / "logs" / "train" / "runs").iterdir()
    result, rows = read_result(run_dir), table(done.stdout)
    assert len(done.stdout.splitlines()) <= len(rows) + 2  # the rows, and an empty line before and after
    assert rows["run"].split() == ["data=digits", "model=mlp"]
    assert rows["parameters"] == f"{result['parameters']:,}"
    assert rows["best val/accuracy"].split()[0] == f"{result['monitor']['best']:.4f}"
    assert rows["test/accuracy"] == f"{result['metrics']['test/accuracy']:.4f}"
    assert rows["test/loss"] == f"{result['metrics']['test/loss']:.4f}"
    assert rows["run directory"] == str(run_dir.relative_to(tmp_path))
    assert rows["curves"] == "tensorboard --logdir logs"
    assert "in all" in rows["seconds"] and int(rows["samples/s"].replace(",", "")) > 0
    assert result["status"] == "completed"
    assert result["choices"]["data"] == "digits" and result["choices"]["task"] == "classification"
    assert result["overrides"] == ["data=digits", "model=mlp", "trainer.max_epochs=2", "paths.log_dir=logs"]
    left = {path.name for path in run_dir.iterdir()}
    assert {".hydra", "train.log", "checkpoints", "tensorboard", "result.json"} <= left
    assert {path.name for path in (run_dir / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert "epoch 2" in (run_dir / "train.log").read_text()


def results(folder: Path, read_result) -> list[dict]:
    return [read_result(path.parent) for path in sorted(folder.rglob("result.json"))]


@pytest.mark.slow
def test_a_job_that_fails_does_not_stop_the_others(command, tmp_path, read_result):
    code, out, err = command("-m", *SMALL, "optimizer.lr=0.1,1000000.0,0.01")
    assert code == 1, err
    assert len(err.splitlines()) == 1 and "the loss is" in err
    runs = results(tmp_path, read_result)
    assert [run["status"] for run in runs] == ["completed", "failed", "completed"]
    assert [run["overrides"][-1] for run in runs] == ["optimizer.lr=0.1", "optimizer.lr=1000000.0", "optimizer.lr=0.01"]
    assert out.count("test/accuracy") == 2


def test_ctrl_c_stops_a_sweep(command, monkeypatch, tmp_path, read_result):
    import signal

    import litlab.train

    calls = []

    def stopped(config, result):
        calls.append(1)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr(litlab.train, "train", stopped)
    code, _, err = command("-m", *SMALL, "seed=0,1,2")
    assert code == 130, err
    assert len(calls) == 1
    assert len(err.splitlines()) == 1 and "stopped" in err
    assert [run["status"] for run in results(tmp_path, read_result)] == ["interrupted"]
