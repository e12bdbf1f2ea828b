"""The command line: what a user sees of mistakes, and the exit codes. Most of it in this process, by main()."""

import os
import signal
import subprocess
import sys
import time

import pytest

from litlab.config.arguments import arguments

SMALL = ("trainer.accelerator=cpu", "threads=1", "trainer.max_epochs=1", "logger=none")


@pytest.fixture
def script(root):
    return root / "scripts" / "train.py"


def outside(script, *words, cwd, **kwargs):
    words = [sys.executable, str(script), *words]
    return subprocess.run(words, **{"capture_output": True, "text": True} | kwargs, cwd=cwd, timeout=600)


def imported_by(script, *words, cwd):
    """The exit code of the program, and what it has imported of the libraries that take long."""
    code = (
        f"import runpy, sys; sys.argv = {[str(script), *words]!r}\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: print(end.code, *sorted({'torch', 'lightning', 'hydra'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd)
    return done.stdout.splitlines()[-1]


def assert_refused(outcome, *parts):
    """One line on stderr with these parts, nothing on stdout, exit code 2."""
    code, out, err = outcome
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1 and err.startswith("error: "), err
    assert all(part in err for part in parts), err


def test_help_lists_the_choices_in_under_a_second(script, root, tmp_path):
    fastest = 10.0
    for _ in range(3):  # the machine may be busy with other tests
        started = time.perf_counter()
        done = outside(script, "--help", cwd=tmp_path)
        fastest = min(fastest, time.perf_counter() - started)
    assert done.returncode == 0 and not done.stderr
    assert fastest < 1
    assert "python scripts/train.py data=fashion model=mlp" in done.stdout
    own = {root / "conf" / "hydra" / group for group in ("sweeper", "job_logging")}  # not the user's to choose
    groups = {path.parent for path in (root / "conf").rglob("*/*.yaml")} - own
    assert {"data", "sweep"} <= {folder.name for folder in groups}
    for folder in groups:
        text = done.stdout.split(f"\n{folder.relative_to(root / 'conf')}:\n")[1]
        for file in folder.glob("*.yaml"):
            assert f"\n  {file.stem} " in f"\n{text}", file
    assert "\n  joblib " in done.stdout.split("\nhydra/launcher:\n")[1]


def test_the_shell_completes_choices(script, tmp_path):
    typed = os.environ | {"COMP_LINE": "python scripts/train.py model=ml"}
    done = outside(script, "-sc", "query=bash", cwd=tmp_path, env=typed)
    assert (done.returncode, done.stdout, done.stderr) == (0, "model=mlp model=mlp_periodic model=mlp_table\n", "")


def test_a_script_that_completes_nothing_is_silent(program):
    assert program("evaluate", "-sc", "query=bash") == program("summarize", "-sc", "query=bash") == (0, "", "")


def test_a_reader_of_the_help_may_stop_early(script, tmp_path):
    end, write = os.pipe()
    os.close(end)
    done = outside(script, "--help", cwd=tmp_path, capture_output=False, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


MISTAKES = {  # what is asked: what the one line must hold (a right value among it)
    "data=fashoin": ("data=fashoin:", "fashion", "mnist", "digits"),
    "model=mpl": ("model=mpl:", "(did you mean mlp?)", "linear"),
    "modle=mlp": ("modle:", "(did you mean model?)", "seed"),
    "data.batch_size=0": ("data.batch_size=0:", "64"),
    "seed=null": ("seed=None:", "0"),
    "resume=nowhere": ("resume=nowhere: there is no such directory;", "logs/train/runs/DATE_TIME"),
    "resume=last": ("resume=last: there is no run in ", "set paths.log_dir"),
    "checkpoint_seconds=-1": ("checkpoint_seconds=-1:", "60"),
    "seed=range(0,3)": ("seed=range(0,3): several values make a sweep; add -m",),
    "nonsense=1": ("nonsense:", "data", "seed"),
    "data.batch_size": ("data.batch_size",),
    "data=[": ("data=[",),
    "tune='${'": ("tune='${': is not a valid interpolation;", "${data.batch_size}"),
    "seed='${'": ("seed='${': is not a valid interpolation;",),
    "model=null": ("model=null: selects nothing; choose from cnn, ", ", mlp, ", "or leave model out"),
    "~model": ("~model: selects nothing; choose from cnn, ", ", mlp, "),
    "experiment=null": ("experiment=null: selects nothing;", "fashion_mlp", "or leave experiment out"),
    "scheduler=0.5": ("scheduler=0.5: selects nothing; use scheduler=none\n",),
    "scheduler=null": ("scheduler=null: selects nothing; use scheduler=none\n",),
    "hydra/launcher=null": ("hydra/launcher=null: selects nothing; choose from basic, ", "ray_cluster, stacked, "),
    "paths.log_dir=": ("paths.log_dir=: must name a folder, such as logs\n",),
    "paths.log_dir=null": ("paths.log_dir=null: must name a folder, such as logs\n",),
    "paths.data_dir=null": ("paths.data_dir=null: must name a folder, such as data\n",),
    "data.val_size=${nothing}": ("data.val_size: Interpolation key 'nothing' not found\n",),
    f"model={'a' * 5000}": ("model=aaaa", "...: selects nothing; choose from cnn, "),
    f"data.val_size={'a' * 5000}": ("data.val_size=aaaa", "... must be a fraction"),
    "model=embedding_bag": ("model: EmbeddingBag takes tokens, and these data have none; use another, such as mlp\n",),
    # found by torch, Lightning or the data
    "data.val_size=1700": ("data.val_size=1700:", "143"),
    "data.test_size=1797": ("data.test_size=1797:", "179"),
    "model.activation=Relu": ("model.activation=Relu:", "ReLU"),
    "model.hidden_sizes=[-3]": ("model",),
    "trainer.precision=31": ("trainer", "32"),
    "trainer.accelerator=abacus": ("trainer", "abacus", "cpu"),
    "trainer.max_epohcs=3": ("trainer.max_epohcs", "max_epochs"),
    "trainer.devices=1000": ("error: trainer.devices=1000: this machine has ", " CPU cores; use at most "),
    "~scheduler.total_steps": ("error: scheduler.total_steps: You must define either total_steps OR",),
    "optimizer.momentum=0": ("optimizer", "momentum"),  # with Nesterov
}


@pytest.mark.parametrize("asked", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_no_run(command, tmp_path, asked):
    assert_refused(command(*SMALL, asked), *MISTAKES[asked])
    assert not list(tmp_path.rglob("*.*"))


def test_all_mistakes_are_reported_at_once(command):
    code, _, err = command(*SMALL, "data.batch_size=0", "optimizer.lr=-1", "seed=x")
    assert code == 2
    assert [line.split("=")[0] for line in err.splitlines()] == [
        "error: seed", "error: data.batch_size", "error: optimizer.lr",
    ]  # fmt: skip


def test_a_mistake_is_reported_before_torch_is_imported(script, tmp_path):
    done = outside(script, "optimizer.lr=-1", f"paths.log_dir={tmp_path}", "-c", "job", cwd=tmp_path)
    assert done.returncode == 0  # --cfg job shows the config, wrong as it may be
    assert imported_by(script, "--help", cwd=tmp_path) == "0"
    assert imported_by(script, "optimizer.lr=-1", "paths.log_dir=logs", cwd=tmp_path) == "2 hydra"
    assert imported_by(script, "trainer=mps", "paths.log_dir=logs", cwd=tmp_path) == "2 hydra"


@pytest.mark.parametrize("asked", ["trainer=gpu", "trainer.accelerator=gpu", "trainer=mps"])
def test_a_gpu_where_there_is_none(command, monkeypatch, asked):
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert_refused(command("threads=1", asked), f"trainer.accelerator={asked.split('=')[1]}", "trainer=cpu")


@pytest.mark.parametrize("folder", ["file/logs", "/proc/logs", "/dev/null/logs"])
def test_logs_that_cannot_be_written(command, tmp_path, folder):
    (tmp_path / "file").touch()
    assert_refused(command(*SMALL, f"paths.log_dir={folder}"), "paths.log_dir: cannot write")


@pytest.mark.slow
def test_an_error_of_ours_is_one_line_and_a_traceback_on_request(command, monkeypatch):
    def broken(config, result):
        raise KeyError("no such\nthing")

    monkeypatch.setattr("litlab.verbs.train.train", broken)
    code, out, err = command(*SMALL)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "KeyError" in err and "test_cli.py:" in err and "LITLAB_TRACEBACK=1" in err
    monkeypatch.setenv("LITLAB_TRACEBACK", "1")
    code, _, err = command(*SMALL)
    assert code == 1 and "Traceback (most recent call last)" in err
    monkeypatch.delenv("LITLAB_TRACEBACK")
    monkeypatch.setattr("litlab.verbs.train.train", lambda config, result: os.stat("/no/such/file"))  # a system error
    code, _, err = command(*SMALL)
    assert (code, len(err.splitlines())) == (1, 1) and "/no/such/file" in err and "paths.log_dir" not in err


def table(text):
    lines = [line.strip() for line in text.splitlines()]
    rows = [line.split("  " if "  " in line else None, 1) for line in lines]
    return {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}


def test_an_error_cannot_steer_the_terminal(capsys):
    from litlab.cli import report_error
    from litlab.errors import RequestError

    assert report_error(RequestError("model.\x1b[2J=\u202ex: wrong\nsecond")) == 2
    assert capsys.readouterr().err == "error: model.\\x1b[2J=\\u202ex: wrong\nerror: second\n"


@pytest.mark.slow
def test_a_run_prints_its_epochs_and_one_table_and_nothing_else(script, tmp_path, read_result):
    """In a process of its own, with default settings but for the small set: no notices, no warnings."""
    done = outside(script, "data=digits", "model=mlp", "trainer.max_epochs=2", "paths.log_dir=logs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (run_dir,) = (tmp_path / "logs" / "train" / "runs").iterdir()
    result, rows = read_result(run_dir), table(done.stdout)
    lines = done.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[:2]] == ["epoch 1/2", "epoch 2/2"]
    assert len(lines) - 2 <= len(rows) + 2  # the rows, and an empty line before and after
    assert rows["run"].split() == ["data=digits", "model=mlp"]
    assert rows["parameters"] == f"{result['parameters']:,}"
    assert rows["best val/accuracy"].split()[0] == f"{result['monitor']['best']:.4f}"
    assert rows["test/accuracy"] == f"{result['metrics']['test/accuracy']:.4f}"
    assert rows["test/loss"] == f"{result['metrics']['test/loss']:.4f}"
    assert rows["run directory"] == str(run_dir.relative_to(tmp_path))
    assert rows["curves"] == "tensorboard --logdir logs"
    assert rows["seconds"].endswith(" in total") and int(rows["samples/s"].replace(",", "")) > 0
    assert result["status"] == "completed"
    assert result["choices"]["data"] == "digits" and result["choices"]["task"] == "classification"
    assert result["overrides"] == ["data=digits", "model=mlp", "trainer.max_epochs=2", "paths.log_dir=logs"]
    left = {path.name for path in run_dir.iterdir()}
    assert {".hydra", "train.log", "checkpoints", "tensorboard", "result.json"} <= left
    assert {path.name for path in (run_dir / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert "epoch 2" in (run_dir / "train.log").read_text()


def results(folder, read_result):
    return [read_result(path.parent) for path in sorted(folder.rglob("result.json"))]


ARGUMENTS = {  # as typed: as Hydra gets them, options first
    "seed=1 -m optimizer.lr=0.1,0.2": "-m seed=1 optimizer.lr=0.1,0.2",
    "--multirun seed=1 optimizer.lr=0.1,0.2": "--multirun seed=1 optimizer.lr=0.1,0.2",
    "seed=1 --cfg job +model.x=2 --package model ~callbacks.pictures": (
        "--cfg job --package model seed=1 +model.x=2 ~callbacks.pictures"
    ),
    "seed=1 --dry-run": "-m seed=1 sweep.dry_run=true",
    "-m seed=1 --dry-run": "-m seed=1 sweep.dry_run=true",
    "sweep.dry_run=True": "-m sweep.dry_run=True",
    "sweep.dry_run=false": "sweep.dry_run=false",
    "sweep=default seed=1": "sweep=default seed=1",
    "sweep=optuna --info searchpath": "--info searchpath sweep=optuna",
    "sweep.dry_run=true -c job": "-c job sweep.dry_run=true",
}


@pytest.mark.parametrize("typed", ARGUMENTS)
def test_options_and_overrides_come_in_any_order(typed):
    assert arguments(typed.split()) == ARGUMENTS[typed].split()


def test_a_path_that_exists_needs_no_quotes(tmp_path):
    path = tmp_path / "3_lr=0.1,batch_size=32" / "last.ckpt"
    assert arguments([f"resume={path}"]) == [f"resume={path}"]
    path.parent.mkdir()
    path.touch()
    assert arguments([f"resume={path}"]) == [f"resume='{path}'"]
    assert arguments([f"resume='{path}'"]) == [f"resume='{path}'"]
    long = f"seed={','.join(map(str, range(100)))}"  # no path may be that long
    assert arguments(["-m", long]) == ["-m", long]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--dryrun"], ("--dryrun", "--help")),
        (["--cfg"], ("--cfg", "--help")),
        (
            ["--epochs", "3"],
            ("--epochs: is no option; settings are NAME=VALUE, without dashes: trainer.max_epochs=...",),
        ),
        (["--batch-size", "8"], ("arguments: --batch-size; settings are NAME=VALUE, without dashes; see --help",)),
        (["--bs=64"], ("--bs=64: is no option; settings are NAME=VALUE,", "data.batch_size=...")),
        (["data", "digits"], ("data: is not NAME=VALUE, such as data=fashion",)),
        (["sweep.resume=logs"], ("sweep.resume=logs:", "-m")),
        (["resume=logs", "-m", "seed=0,1"], ("resume=logs: goes on with one run,", "leave out -m")),
        (["sweep.resume=last"], ("sweep.resume=last: resumes a sweep and needs -m;",)),
        (["sweep.resume=last", "-m", "seed=0,1"], ("sweep.resume=last: there is no sweep in ", "set paths.log_dir")),
        (["sweep=optuna", "seed=1"], ("sweep=optuna: is a sweep, and a sweep needs -m: python scripts/train.py -m ",)),
        (["-m", "seed=0,1", "hydra.sweeper.n_trials=3"], ("hydra.sweeper.n_trials: only a search has it;",)),
        (["sweep.resume=nowhere", "-m", "seed=0,1"], ("sweep.resume=nowhere:", "logs/train/multiruns")),
        (["sweep.resume=", "-m", "seed=0,1"], ("sweep.resume=: no folder is given;", "logs/train/multiruns")),
        (["sweep.resume=", "--dry-run", "seed=0,1"], ("sweep.resume=: no folder is given;", "logs/train/multiruns")),
        (["sweep.on_failure=go", "-m", "seed=0,1"], ("sweep.on_failure=go:", "continue, stop")),
        (["-m", "optimizer.lr=interval(0, 1)"], ("optimizer.lr: a grid needs values", "optimizer.lr=1,2,3")),
        (["-m", "seed=range(0)"], ("seed=range(0): yields no value;",)),
        (["-m", "seed=range(0,5,0)"], ("seed=range(0,5,0): is not a valid range; write range(START, STOP, STEP)",)),
        (["-m", "model=glob(nothing*)"], ("model=glob(nothing*): yields no value;", "glob(*)")),
        (["-m", "model=null,mlp"], ("model=null,mlp: selects nothing;", ", mlp, ")),
        (
            ["-m", "seed=range(0,1e9)", "optimizer.lr=0.1,0.2"],
            ("seed=range(0,1e9): gives 1,000,000,000 values, more than sweep.max_jobs=10000; give fewer,",),
        ),
        (
            ["-m", "seed=shuffle(range(1,-5e9,-1))", "--dry-run"],
            ("gives 5,000,000,001 values, more than sweep.max_jobs=10000;",),
        ),
        (
            ["-m", "seed=0,1,2", "optimizer.lr=0.1,0.2", "sweep.max_jobs=5"],
            ("seed (3) x optimizer.lr (2): makes 6 jobs, more than sweep.max_jobs=5; give fewer values",),
        ),
        (["--experimental-rerun=x.pickle"], ("--experimental-rerun: unpickles a file, which may run code;",)),
        (["--exp", "x.pickle", "-m"], ("--experimental-rerun: unpickles a file",)),
        (["-m", "optimizer.lrr=1,2"], ("optimizer.lrr:", "momentum")),
        (["-m", "data=fashoin"], ("data=fashoin:", "fashion")),
        (["-m", "data=fashoin,digts"], ("data=fashoin:", "fashion")),
        (["-m", "data.batch_size=0,-1"], ("data.batch_size=0:", "64")),
    ],
)
def test_a_mistake_with_a_sweep_is_one_line_and_leaves_nothing(command, tmp_path, words, parts):
    assert_refused(command(*SMALL, *words), *parts)
    assert not list((tmp_path / "logs").rglob("*.*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "names"),
    [("model=glob(mlp*)", {"mlp", "mlp_periodic", "mlp_table"}), ("experiment=glob(*_mlp)", {"fashion_mlp"})],
)
def test_a_sweep_over_choices_by_a_pattern(command, quick_train, tmp_path, read_result, asked, names):
    code, _, err = command("-m", *SMALL, asked)
    assert (code, err) == (0, "")
    group = asked.partition("=")[0]
    assert names <= {run["choices"][group] for run in results(tmp_path, read_result)}


def test_settings_of_sweeps_do_nothing_to_a_run(command, quick_train, tmp_path, read_result):
    code, _, err = command(*SMALL, "sweep.on_failure=stop", "seed=3")
    assert (code, err) == (0, "")
    (run,) = results(tmp_path, read_result)
    assert set(run["overrides"]) == {f"paths.log_dir={tmp_path / 'logs'}", *SMALL, "seed=3"}
    assert (run["status"], run["swept"], run["settings"]["seed"]) == ("completed", [], 3)


def test_ctrl_c_stops_a_sweep(command, monkeypatch, tmp_path, read_result):
    calls = []

    def stopped(config, result):
        calls.append(1)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr("litlab.verbs.train.train", stopped)
    code, out, err = command("-m", *SMALL, "seed=0,1,2")
    assert code == 130, err
    assert "jobs: 1 interrupted, 2 not started." in out
    assert len(calls) == 1
    assert len(err.splitlines()) == 1 and "stopped; the same command with sweep.resume=" in err
    assert [run["status"] for run in results(tmp_path, read_result)] == ["interrupted"]
    (summary,) = tmp_path.rglob("summary.csv")
    assert "interrupted" in summary.read_text()
    assert [path.name for path in summary.parent.iterdir() if path.is_dir()] == ["1_seed=0"]
