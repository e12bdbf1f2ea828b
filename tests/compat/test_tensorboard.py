"""Event files without a thread; what an upgrade of TensorBoard's or torch's writers would break."""

import errno
import threading
from pathlib import Path

import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from litlab.compat.tensorboard import open_directly
from litlab.files import is_full_disk


@pytest.fixture
def logger(tmp_path):
    logger = TensorBoardLogger(tmp_path, name="", version="tensorboard")
    open_directly(logger)
    return logger


def test_what_is_logged_can_be_read_and_no_thread_is_begun(logger):
    before = threading.active_count()
    logger.log_metrics({"loss": 0.5}, step=3)
    logger.finalize("success")
    logger.log_metrics({"loss": 0.25}, step=4)  # torch opens another file
    assert threading.active_count() == before
    assert not [each for each in threading.enumerate() if "AsyncWriter" in type(each).__name__]
    written = EventAccumulator(logger.log_dir).Reload()
    assert [(each.step, each.value) for each in written.Scalars("loss")] == [(3, 0.5), (4, 0.25)]
    assert len(list(Path(logger.log_dir).glob("events.*"))) == 2


def test_a_full_disk_raises_where_it_is_written_to(logger, monkeypatch, capsys):
    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)
    with pytest.raises(ValueError, match="not supported") as lightnings:
        logger.log_metrics({"loss": 0.5}, step=3)
    first, second = ValueError("one"), ValueError("two")
    first.__cause__, second.__context__ = second, first  # as where a cause is raised in its error's place
    assert not is_full_disk(first)
    assert is_full_disk(lightnings.value) and not is_full_disk(ValueError("not supported"))
    assert capsys.readouterr() == ("", "")
