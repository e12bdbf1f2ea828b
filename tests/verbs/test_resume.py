"""resume=RUN on the command line: the run's own directory and settings, and what may change."""

import json
import os
import platform

import pytest
from omegaconf import OmegaConf
from sweep_results import failed

from litlab.errors import RequestError
from litlab.verbs.resume import Resumption

SMALL = ("model=linear", "threads=1", "trainer=cpu", "scheduler=none", "trainer.max_epochs=1", "~callbacks.pictures")


@pytest.fixture
def run(command, tmp_path):
    """A finished run: its directory."""
    assert command(*SMALL, "logger=csv")[0] == 0
    return next((tmp_path / "logs" / "train" / "runs").iterdir())


def tree(folder):
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != "train.log"]
    return {file: file.read_bytes() for file in files}


@pytest.mark.slow
def test_a_finished_run_goes_on_in_its_directory_where_that_is_longer(run, command, read_result):
    before, first = tree(run), read_result(run)
    (run / "checkpoints" / ".0123456789abcdef.aside").touch()  # of a process that was killed
    code, out, err = command(f"resume={run}")
    told = "is completed, after 1 epochs; to train on, set a larger trainer.max_epochs"
    assert (code, out, err) == (0, f"{run}: {told}\n", "")
    for words, message in (
        (["optimizer.lr=0.5"], "was trained with optimizer.lr=0.1 (now 0.5); leave that as it was, or"),
        (["optimizer.lr=0.5", "resume_changes=true"], told),
        (["optimizer=adam"], "was trained with optimizer._target_=torch.optim.SGD, whose state"),
        (["optimizer.lrr=1"], "optimizer.lrr"),
        (["trainer.max_epochs=0"], "trainer.max_epochs=0: "),
        (["-m", "seed=0,1"], "goes on with one run, in its own directory; leave out -m"),
    ):
        code, out, err = command(f"resume={run}", *words)
        assert (code, out) == (2, "") and message in err and len(err.splitlines()) == 1, err
    (run / "checkpoints" / ".0123456789abcdef.aside").unlink(missing_ok=True)
    assert tree(run) == before, "what is refused leaves no trace"
    (run / "checkpoints" / ".0123456789abcdef.aside").touch()
    code, out, err = command("resume=last", "trainer.max_epochs=2", "optimizer.lr=0.05", "resume_changes=[optimizer]")
    assert (code, err) == (0, "") and [each.name for each in run.parent.iterdir()] == [run.name]
    result = read_result(run)
    assert (result["status"], result["epochs"], result["steps"]) == ("completed", 2, 40)
    assert result["seconds"] > first["seconds"] and result["seconds_training"] > first["seconds_training"]
    own = [word for word in first["overrides"] if not word.startswith("trainer.max_epochs")]
    assert result["overrides"] == [*own, "trainer.max_epochs=2", "optimizer.lr=0.05"]
    assert (result["choices"], result["settings"]["optimizer"]["lr"]) == (first["choices"], 0.05)
    config = OmegaConf.load(run / ".hydra" / "config.yaml")
    assert (config.optimizer.lr, config.trainer.max_epochs, config.resume) == (0.05, 2, None)
    assert len((run / "history.csv").read_text().splitlines()) == 3 and not list(run.rglob(".*.aside"))
    assert command(f"resume={run}")[1].startswith(f"{run}: is completed, after 2 epochs")


@pytest.mark.slow
def test_the_settings_are_the_runs_whatever_conf_says_now(run, command, read_result):
    config = OmegaConf.load(run / ".hydra" / "config.yaml")
    config.data.eval_batch_size = 77  # as if conf had had it then
    OmegaConf.save(config, run / ".hydra" / "config.yaml")
    code, _, err = command(f"resume={run}", "trainer.max_epochs=2", "logger=none")
    assert (code, err) == (0, "")
    assert read_result(run)["settings"]["data"]["eval_batch_size"] == 77
    assert read_result(run)["settings"]["logger"] == {}


@pytest.mark.slow
def test_what_cannot_be_resumed_is_told(run, command, tmp_path):
    file = run / "result.json"
    result = json.loads(file.read_text())
    alive = {"host": platform.node(), "pid": os.getppid(), "start": None}
    file.write_text(json.dumps(result | {"status": "running", "process": alive}))
    assert f"is still running, as process {os.getppid()} on " in command(f"resume={run}")[2]
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    assert "is no run's directory, it has no result.json" in command(f"resume={sweep}")[2]
    (sweep / "multirun.yaml").touch()
    assert f"resume={sweep}: is a sweep; its own command with -m and sweep.resume=" in command(f"resume={sweep}")[2]
    file.write_text(json.dumps(result | {"status": "failed"}))
    canary = tmp_path / "canary"
    for text in (f"a: !!python/object/apply:os.system ['touch {canary}']", "[", "- 1"):
        (run / ".hydra" / "config.yaml").write_text(text)
        code, _, err = command(f"resume={run}")
        assert code == 2 and "config.yaml cannot be read (" in err and len(err.splitlines()) == 1
    assert not canary.exists() and json.loads(file.read_text())["status"] == "failed"


def test_one_process_at_a_time_goes_on_with_a_run(tmp_path):
    run = tmp_path / "train" / "runs" / "now"
    run.mkdir(parents=True)
    (run / "result.json").write_text(json.dumps(failed({})))
    word = f"resume={run}"
    with Resumption.of(word, [word]) as first:
        assert first.directory == run
        with pytest.raises(RequestError) as error, Resumption.of(word, [word]):
            pass
    assert str(error.value) == f"{word}: another process goes on with {run}; wait for it, or stop it"
    with Resumption.of(word, [word]):
        pass
    assert [file.name for file in run.iterdir()] == ["result.json"]


def test_a_run_trusts_no_one(run, command, read_result):
    """Its own `trust` does not count: a run directory may come from anyone."""
    config = OmegaConf.load(run / ".hydra" / "config.yaml")
    config.trust, config.model["_target_"] = ["os"], "os.system"
    OmegaConf.save(config, run / ".hydra" / "config.yaml")
    before = read_result(run)
    code, _, err = command(f"resume={run}", "trainer.max_epochs=2")
    assert code == 2 and "model._target_=os.system: is not a class of litlab" in err
    assert read_result(run) == before
