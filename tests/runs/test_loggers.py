"""MLflow and W&B: the same metrics, settings and pictures as in TensorBoard, how the run ended, and no network."""

import importlib.util
import json
import os
import socket
import struct
from pathlib import Path

import pytest

from litlab.build import build_logger
from litlab.errors import Interrupted, RequestError
from litlab.runs import loggers
from litlab.tasks.base import Task
from litlab.verbs.train import train

SCALARS = {"train/loss", "train/loss_step", "val/loss", "lr", "train/gradient_norm", "train/samples_per_second"}
FINAL = {"best/val/accuracy", "test/accuracy", "test/loss"}
PICTURES = {"samples", "curves", "confusion_matrix", "mistakes"}


@pytest.mark.parametrize(("name", "kind"), [("mlflow", "MLFlowLogger"), ("wandb", "WandbLogger")])
def test_a_missing_extra_is_one_line(compose, monkeypatch, name, kind):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda each, *args: None if each == name else find(each, *args))
    config = compose(f"logger={name}")
    assert config.logger[name]._target_ == f"lightning.pytorch.loggers.{kind}"
    message = f"^logger={name}: needs the extra {name}, which is not installed: make setup EXTRAS={name}, or pip .*$"
    with pytest.raises(RequestError, match=message):
        build_logger(name, config.logger[name])


@pytest.fixture
def alone(monkeypatch):
    """Addresses that this process connects to, and the environment as before."""
    addresses, connect = [], socket.socket.connect
    for variable in loggers.QUIET:
        monkeypatch.delenv(variable, raising=False)

    def connected(self, address):
        addresses.append(address)
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connected)
    yield addresses
    for variable in loggers.QUIET:
        os.environ.pop(variable, None)


@pytest.fixture
def run(compose, monkeypatch):
    """Train; with an error at the end of the first epoch, if one is given."""

    def run(*overrides, error=None):
        config = compose("data=digits", "model=mlp", "trainer.log_every_n_steps=5", *overrides)
        if error is None:
            return config, train(config)
        with monkeypatch.context() as patched, pytest.raises(type(error)):
            patched.setattr(Task, "on_train_epoch_end", lambda self: (_ for _ in ()).throw(error))
            train(config)
        return config, None

    return run


@pytest.mark.slow
def test_mlflow_has_all_of_a_run_and_how_it_ended(run, alone, monkeypatch):
    pytest.importorskip("mlflow", reason="make setup EXTRAS=mlflow")
    config, result = run("logger=mlflow")
    run("logger=mlflow", error=RuntimeError("no"))
    run("logger=mlflow", error=Interrupted(15))
    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="in the test"):
        patched.setattr(Task, "on_test_epoch_end", lambda self: (_ for _ in ()).throw(RuntimeError("in the test")))
        run("logger=mlflow")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{config.paths.log_dir}/mlflow.db")
    experiment = client.get_experiment_by_name("litlab")
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    assert [each.info.status for each in runs] == ["FINISHED", "FAILED", "KILLED", "FAILED"]
    first = runs[0]
    assert first.info.run_name == str(config.paths.run_dir)
    assert {**first.data.params, "optimizer/lr": "0.1", "data/batch_size": "64"} == first.data.params
    assert {*first.data.metrics} >= SCALARS | FINAL
    history = client.get_metric_history(first.info.run_id, "val/accuracy")
    assert [each.step for each in history] == [20, 40]
    assert history[-1].value == pytest.approx(result.metrics["val/accuracy"], abs=1e-6)
    assert first.data.metrics["test/accuracy"] == pytest.approx(result.metrics["test/accuracy"])
    assert [each.step for each in client.get_metric_history(first.info.run_id, "lr")] == list(range(5, 41, 5))
    files = {Path(each.path).stem: each for each in client.list_artifacts(first.info.run_id, "plots")}
    assert files.keys() == PICTURES
    copy = Path(client.download_artifacts(first.info.run_id, files["mistakes"].path))
    assert copy.read_bytes() == (Path(config.paths.run_dir) / "plots" / "mistakes.png").read_bytes()
    assert alone == [] and os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


@pytest.mark.slow
def test_wandb_keeps_a_run_offline(run, alone, capfd):
    pytest.importorskip("wandb", reason="make setup EXTRAS=wandb")
    config, result = run("logger=wandb")
    other, _ = run("logger=wandb", error=RuntimeError("no"))
    assert "wandb" not in capfd.readouterr().err
    history, summary, settings, code = read(config)
    steps = [row["trainer/global_step"] for row in history if "val/accuracy" in row]
    assert steps == [20, 40]
    assert {key for row in history for key in row} >= SCALARS | FINAL
    assert summary["test/accuracy"] == pytest.approx(result.metrics["test/accuracy"])
    assert settings["optimizer"]["lr"] == 0.1 and settings["data"]["batch_size"] == 64
    media = Path(config.paths.run_dir).glob("wandb/offline-run-*/files/media/images/plots/*.png")
    assert {file.stem.rsplit("_", 2)[0] for file in media} == PICTURES
    assert code == 0 and read(other)[-1] == 1, "exit codes"
    assert all(each[0] in ("127.0.0.1", "localhost") for each in alone if isinstance(each, tuple))


def read(config):
    """Of the one run in a run directory: history, summary, settings, exit code."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = Path(config.paths.run_dir).glob("wandb/offline-run-*/run-*.wandb")
    history, summary, settings, code = [], {}, {}, None
    for record in map(Record.FromString, records(file.read_bytes())):
        if record.history.item:
            history.append({key_of(item): json.loads(item.value_json) for item in record.history.item})
        summary |= {key_of(item): json.loads(item.value_json) for item in record.summary.update}
        for item in (*record.run.config.update, *record.config.update):
            settings[item.key] = json.loads(item.value_json)
        code = record.exit.exit_code if record.HasField("exit") else code
    return history, summary, settings, code


def key_of(item):
    return item.key or "/".join(item.nested_key)


def records(content, block=32768, header=7):
    """LevelDB's log format: blocks of parts, each with checksum, length and kind: whole, first, middle or last."""
    at, record = header, b""  # the file's own header is as long as a part's
    while at + header <= len(content):
        if block - at % block < header:
            at += block - at % block
            continue
        length, kind = struct.unpack_from("<HB", content, at + 4)
        record += content[at + header : at + header + length]
        at += header + length
        if kind in (1, 4):
            yield record
            record = b""
