"""What a notebook calls: the runs of the command line, in a process that stays as it was."""

import json
import logging
import os
import random
import shutil
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from litlab import compose, load_run, signals, train
from litlab.errors import RequestError, RunError
from litlab.isolation import isolated
from litlab.runs.checkpoints import read_checkpoint
from litlab.runs.result import settings

SMALL = ("data=digits", "model=linear", "trainer.max_epochs=2", "trainer=cpu", "logger=none", "threads=1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(*SMALL, f"paths.log_dir={tmp_path_factory.mktemp('logs')}")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def plain(directory):
    return json.loads((directory / "result.json").read_text(encoding="utf-8"))


def weights(directory):
    return read_checkpoint(directory / "checkpoints/best.ckpt")["state_dict"]


# ---- what a run is


@pytest.mark.slow
def test_it_is_the_run_of_the_command_line(command, trained, same_weights, tmp_path):
    """The same files, request, metrics and, to the bit, weights."""
    assert command(*SMALL)[0] == 0
    (theirs,) = (tmp_path / "logs/train/runs").iterdir()
    ours = trained.directory
    assert same_weights(weights(ours), weights(theirs))
    names = [{str(file.relative_to(run)) for file in run.rglob("*")} for run in (ours, theirs)]
    assert names[0] == names[1] >= {"train.log", ".hydra/config.yaml", "history.csv", "plots/curves.png"}
    one, other = plain(ours), plain(theirs)
    for name in ("status", "choices", "settings", "metrics", "monitor", "seed", "parameters"):
        assert one[name] == other[name]
    assert [one["overrides"], other["overrides"]] == [
        [*SMALL, f"paths.log_dir={ours.parents[2]}"],
        [SMALL[0], f"paths.log_dir={tmp_path / 'logs'}", *SMALL[1:]],
    ]
    logs = [(run / "train.log").read_text().replace(str(run), "") for run in (ours, theirs)]
    assert "INFO litlab.callbacks.history: epoch 2: " in logs[0] and len(logs[0].splitlines()) == len(
        logs[1].splitlines()
    )


def test_what_the_run_gives(trained):
    pandas = pytest.importorskip("pandas")
    assert trained.metrics == plain(trained.directory)["metrics"]
    frame = pandas.DataFrame(trained.history)
    assert frame["epoch"].tolist() == [1, 2]
    assert frame["val/accuracy"].max() == trained.metrics["val/accuracy"] == trained.result.monitor.best
    counts = np.asarray(trained.confusion)
    assert counts.shape == (10, 10) and counts.dtype == np.int64 and counts.sum() == 180
    assert np.trace(counts) / 180 == pytest.approx(trained.metrics["val/accuracy"])
    assert trained.confusion.class_names == tuple("0123456789")
    shown = [trained.confusion, trained.curves, *trained.pictures.values()]
    assert all(picture._repr_png_().startswith(b"\x89PNG") for picture in shown)
    assert set(trained.pictures) == {"curves", "confusion_matrix", "mistakes"}
    assert trained.pictures._repr_html_().count('<img src="data:image/png;base64,') == 3
    assert repr(trained).startswith("<run data=digits model=linear completed, test/loss ")
    assert "<th style='text-align:left'>test/accuracy</th><td>0." in trained._repr_html_()
    again = load_run(trained.directory)
    assert torch.equal(again.predict(np.zeros((8, 8), "uint8")), trained.predict(np.zeros((8, 8), "uint8")))
    assert again.history == trained.history


def test_compose_gives_the_settings_of_the_run(trained, here):
    config = compose(*SMALL, "optimizer.lr=0.3")
    assert config.paths.run_dir == "logs/train/runs/DATE_TIME" and not Path("logs").exists()
    expected = trained.result.settings | {"optimizer": trained.result.settings["optimizer"] | {"lr": 0.3}}
    expected["scheduler"] = expected["scheduler"] | {"max_lr": 0.3}
    plain_paths = OmegaConf.create(OmegaConf.to_yaml(config).replace("logs/train/runs/DATE_TIME", ""))
    assert settings(plain_paths) == expected


@pytest.mark.slow
def test_a_run_without_checkpoint_has_its_metrics(here):
    run = train(*SMALL, "callbacks=none", "trainer.max_epochs=1")
    assert 0 < run.metrics["test/accuracy"] < 1
    with pytest.raises(RequestError, match="has kept no checkpoint"):
        run.predict(np.zeros((8, 8), "uint8"))


@pytest.mark.slow
def test_a_regression_has_no_confusion_matrix(here):
    run = train("experiment=sine_polynomial", "data.passes_per_epoch=20", "trainer.max_epochs=1", "logger=none")
    assert "test/rmse" in run.metrics and set(run.pictures) >= {"fit"}
    with pytest.raises(RequestError, match="a regression has no confusion matrix"):
        assert run.confusion


def test_names_of_others_are_inert(trained, tmp_path):
    directory = shutil.copytree(trained.directory, tmp_path / "<img src=x>\x1b[31m")
    result = plain(directory)
    result |= {"hints": ["<script>alert(1)</script>"], "metrics": result["metrics"] | {"test/<b>": None}}
    (directory / "result.json").write_text(json.dumps(result))
    (directory / "plots/<script>.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (directory / "plots/text.png").write_text("no image")
    (directory / "history.csv").write_text("epoch,train/loss\n1,x\n")
    run = load_run(directory)
    shown = run._repr_html_() + run.pictures._repr_html_()
    assert "\x1b" not in shown + repr(run) and not any(tag in shown for tag in ("<script", "<img src=x", "<b>"))
    assert np.isnan(run.metrics["test/<b>"]) and run.history == {} and "text" not in run.pictures
    with pytest.raises(RequestError, match=r"has no history\.csv"):
        assert run.curves


# ---- what is refused


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=nope"], "data=nope: there is no conf/data/nope.yaml; choose from arrays, breast_cancer"),
        (["optimizer.lr=a"], "optimizer.lr=a: must be a number above 0, such as 0.01"),
        (
            ["data=digits", "optimizer.lr=0.1,0.2"],
            "optimizer.lr=0.1,0.2: several values make a sweep, for the command line: "
            "python scripts/train.py -m data=digits optimizer.lr=0.1,0.2",
        ),
        (["-m", "seed=1"], "-m: is an option of the command line: python scripts/train.py -m seed=1"),
        (["sweep.dry_run=true"], "-m: is an option of the command line: python scripts/train.py -m sweep.dry_run=true"),
        ([{"data": "digits"}], "dict: is no word of the command line, such as 'data=digits'"),
        (["+model.x._target_=os.system"], "model.x._target_=os.system: is not a class of litlab"),
    ],
)
@pytest.mark.parametrize("call", [compose, pytest.param(train, marks=pytest.mark.slow)])
def test_a_mistake_is_one_line(call, words, message, here, capfd):
    with pytest.raises(RequestError) as error:
        call(*words)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)
    assert error.value._render_traceback_() == [f"error: {error.value}"]  # what IPython prints
    assert capfd.readouterr() == ("", "")
    assert not list(Path("logs").rglob("*.*"))


# ---- what stays as it was


def state():
    """What a caller could notice."""
    import matplotlib
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.version import getbase

    loggers = [logging.root, *(logging.getLogger(name) for name in ("mine", "lightning.pytorch", "py.warnings"))]
    return {
        "loggers": [(each.handlers[:], each.filters[:], each.level, each.propagate) for each in loggers],
        "logging": (logging.raiseExceptions, warnings.showwarning, warnings.filters[:]),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "python": random.getstate(),
        "numpy": str(np.random.get_state()),
        "torch": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "denormals": (torch.tensor([1e-30]) * 1e-12).item(),
        "algorithms": (torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()),
        "cudnn": torch.backends.cudnn.benchmark,
        "place": (Path.cwd(), sys.argv[:], dict(os.environ)),
        "hydra": (GlobalHydra.instance().hydra, HydraConfig.instance().cfg, getbase()),
        "matplotlib": matplotlib.get_backend(),
    }


@pytest.fixture
def caller(tmp_path, here, monkeypatch):
    """A process with settings of its own."""
    import matplotlib
    from hydra import initialize_config_dir

    with isolated(), initialize_config_dir(str(tmp_path), version_base="1.2"):
        handler = logging.FileHandler(tmp_path / "mine.log", mode="w")
        logging.root.addHandler(handler)
        logging.root.setLevel("ERROR")
        logging.getLogger("mine").setLevel("DEBUG")
        torch.set_num_threads(2)
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")
        torch.set_flush_denormal(False)
        warnings.simplefilter("ignore", UserWarning)
        before = matplotlib.get_backend()
        matplotlib.use("svg")
        yield tmp_path / "mine.log"
        matplotlib.use(before)
        handler.close()


def stop(*arguments):
    os.kill(os.getpid(), signal.SIGINT)  # as a cell's stop button does
    signals.check()


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("seed=1", None),
        pytest.param("trainer.deterministic=false", None, marks=pytest.mark.slow),
        pytest.param("hydra.job.chdir=true", None, marks=pytest.mark.slow),
        pytest.param("optimizer.lr=1e38", RunError, marks=pytest.mark.slow),
        ("model.bias=3", RequestError),
        ("seed=2", KeyboardInterrupt),
    ],
)
def test_the_process_stays_as_it_was(caller, word, error, monkeypatch):
    if error is KeyboardInterrupt:
        monkeypatch.setattr("litlab.verbs.train.fit", stop)
    before, words = state(), (*SMALL, "trainer.max_epochs=1", "~callbacks.pictures", word)
    if error is None:
        train(*words)
    else:
        with pytest.raises(error) as raised:
            train(*words)
        assert len(raised.value._render_traceback_()) == 1
    after = state()
    assert [name for name in before if before[name] != after[name]] == []
    logging.getLogger("mine").info("still here")
    logging.captureWarnings(True)
    assert warnings.showwarning.__module__ == "logging"
    logging.captureWarnings(False)
    assert caller.read_text() == "still here\n"
    if word == "seed=2":
        (directory,) = Path("logs/train/runs").iterdir()
        assert plain(directory)["error"] == "stopped by SIGINT"
        assert str(raised.value).startswith(f"stopped; its result.json is in {directory.absolute()}")


def test_opening_a_run_draws_no_random_numbers(trained):
    before = state()
    run = load_run(trained.directory)
    assert len(run.confusion.targets) == 180
    after = state()
    assert [name for name in before if before[name] != after[name]] == []


@pytest.mark.slow
def test_calls_do_not_disturb_each_other(trained, same_weights, here):
    train("data=breast_cancer", "model=mlp", "trainer.max_epochs=1", "seed=3", "logger=none", "~callbacks.pictures")
    assert same_weights(weights(train(*SMALL, "~callbacks.pictures").directory), weights(trained.directory))
