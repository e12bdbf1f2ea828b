"""TensorBoard's event files, written by the caller instead of a background thread.

The thread and its queue are TensorBoard's way to hide the time of slow disks. They have two faults: a signal or an
error within the queue's lock makes `close` wait for ever, and on a full disk the thread prints its traceback.
"""

import time
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer import event_file_writer
from torch.utils.tensorboard import SummaryWriter

from litlab.compat.patching import replaced


def open_directly(logger: TensorBoardLogger) -> None:
    """Let a logger that has not logged yet write its event files without a thread."""
    if logger._experiment is None:
        logger._experiment = _Writer(log_dir=logger.log_dir, **logger._kwargs)


def write_summary(logger: TensorBoardLogger, summary: Summary, step: int | None = None) -> None:
    """Write a summary for which torch's SummaryWriter has no method."""
    logger.experiment._get_file_writer().add_summary(summary, step)


class _Writer(SummaryWriter):
    """torch's. It opens a file when it is made, and another one when it is used after it was closed."""

    def _get_file_writer(self) -> Any:
        with replaced(event_file_writer, "_AsyncWriter", _DirectWriter):
            return super()._get_file_writer()


class _DirectWriter:
    """What an EventFileWriter asks of its writer: see TensorBoard's `_AsyncWriter`, which has the same arguments.

    Args:
        record_writer: of TensorBoard's; it is given bytes.
        max_queue_size: nothing is queued.
        flush_secs: seconds between two flushes, when something is written.
    """

    def __init__(self, record_writer: Any, max_queue_size: int = 0, flush_secs: float = 120) -> None:
        self.record_writer, self.flush_secs = record_writer, flush_secs
        self.flushed = 0.0
        self.is_closed = False

    def write(self, record: bytes) -> None:
        """Write a record.

        Raises:
            OSError: the disk is full, or the file is closed.
        """
        if self.is_closed:
            raise OSError("Writer is closed")
        self.record_writer.write(record)
        if time.monotonic() - self.flushed > self.flush_secs:
            self.flush()

    def flush(self) -> None:
        """Flush to disk.

        Raises:
            OSError: the disk is full.
        """
        self.record_writer.flush()
        self.flushed = time.monotonic()

    def close(self) -> None:
        """Flush and close the file.

        Raises:
            OSError: the disk is full.
        """
        if not self.is_closed:
            self.is_closed = True
            self.record_writer.close()
