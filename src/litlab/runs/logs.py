"""The loggers' files of a run that is resumed: as they were when the checkpoint was saved."""

import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from litlab.files import write_atomic

KEY = "logs"  # in a checkpoint
Marks = dict[str, int]  # by the path in the run directory: bytes of an event file, lines of a CSV file
FILES = {TensorBoardLogger: "events.out.tfevents.*", CSVLogger: "metrics.csv"}


def mark(trainer: L.Trainer) -> Marks:
    """Flush the loggers; how far their files are. Only rank 0 has some."""
    if not trainer.is_global_zero:
        return {}
    home, marks = Path(trainer.default_root_dir).absolute(), Marks()
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.flush()
        elif isinstance(logger, CSVLogger):
            logger.save()
        for file in _files(logger, home):
            is_table = isinstance(logger, CSVLogger)
            size = len(file.read_bytes().splitlines()) if is_table else file.stat().st_size
            marks[str(file.relative_to(home))] = size
    return marks


def rewind(trainer: L.Trainer, source: Path, marks: Mapping[str, int]) -> None:
    """Drop what the earlier attempt logged after its checkpoint: the run logs it again. Call it on rank 0.

    Args:
        trainer: its loggers have not logged yet.
        source: the earlier attempt's directory; if another than the run's, what it logged is copied.
        marks: of its checkpoint; empty without one.
    """
    home, source = Path(trainer.default_root_dir).absolute(), source.absolute()
    for logger in trainer.loggers:
        for file in _files(logger, home, source):
            name = file.relative_to(source)
            content, size = file.read_bytes(), marks.get(str(name), 0)
            if isinstance(logger, CSVLogger):
                lines = content.splitlines(keepends=True)[:size]
                if lines:
                    table: Any = logger.experiment  # it removes the file that is there
                    table.metrics_keys = lines[0].decode().strip().split(",")
                    write_atomic(home / name, b"".join(lines))
            elif size and (source != home or size < len(content)):
                write_atomic(home / name, content[:size])
            elif not size and source == home:
                os.unlink(file)


def _files(logger: Any, home: Path, source: Path | None = None) -> Iterator[Path]:
    """A logger's files in the directory `source` (by default `home`), but no links: they may lead anywhere."""
    pattern = next((pattern for kind, pattern in FILES.items() if isinstance(logger, kind)), None)
    source = source or home
    folder = Path(logger.log_dir or "").absolute()
    if pattern is None or not folder.is_relative_to(home):
        return
    for file in sorted((source / folder.relative_to(home)).glob(pattern)):
        links = itertools.takewhile(lambda path: path != source, (file, *file.parents))
        if not any(path.is_symlink() for path in links) and file.is_file():
            yield file
