"""The loggers' files of a run that is resumed: as they were when the checkpoint was saved."""

import csv
from types import SimpleNamespace

import pytest
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from litlab.runs import logs


@pytest.fixture
def trainer(tmp_path):
    def made(name):
        folder = tmp_path / name
        loggers = [TensorBoardLogger(folder, "", "tensorboard"), CSVLogger(folder, "", "csv")]
        return SimpleNamespace(is_global_zero=True, default_root_dir=str(folder), loggers=loggers)

    return made


def write(trainer, step, **values):
    for logger in trainer.loggers:
        logger.log_metrics(values, step=step)


def events(folder):
    return {file.name: file.read_bytes() for file in folder.glob("tensorboard/events*")}


def rows(folder):
    with (folder / "csv" / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_what_came_after_the_mark_is_dropped_and_written_again(trainer, tmp_path):
    first = trainer("run")
    write(first, 1, loss=1.0)
    marks = logs.mark(first)
    assert sorted(name.split(".")[0] for name in marks) == ["csv/metrics", "tensorboard/events"]
    before = events(tmp_path / "run")
    write(first, 2, loss=2.0, accuracy=0.5)  # a column more: the file is written anew
    logs.mark(first)
    first.loggers[0].experiment.close()
    assert events(tmp_path / "run") != before
    for name in ("copy", "run"):  # a job of a sweep goes on in another folder
        again = trainer(name)
        logs.rewind(again, tmp_path / "run", marks)
        assert events(tmp_path / name) == before and [row["loss"] for row in rows(tmp_path / name)] == ["1.0"]
        write(again, 2, loss=3.0, auroc=1.0)
        again.loggers[1].save()
        again.loggers[0].experiment.close()  # its thread would write the file again after the rewind below
        assert [(row["step"], row["loss"]) for row in rows(tmp_path / name)] == [("1", "1.0"), ("2", "3.0")]
    logs.rewind(trainer("run"), tmp_path / "run", {})
    assert events(tmp_path / "run") == {}


def test_links_are_left_alone(trainer, tmp_path):
    """A directory, and the marks in its checkpoint, may come from anyone."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "events.out.tfevents.1").write_bytes(b"private")
    run = tmp_path / "run"
    run.mkdir()
    (run / "tensorboard").symlink_to(victim)
    (run / "csv").mkdir()
    (run / "csv" / "metrics.csv").symlink_to(victim / "events.out.tfevents.1")
    for marks in ({"tensorboard/events.out.tfevents.1": 3, "csv/metrics.csv": 1}, {}):
        logs.rewind(trainer("run"), run, marks)
        assert (victim / "events.out.tfevents.1").read_bytes() == b"private"
