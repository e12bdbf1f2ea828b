"""Checkpoints that are whole, whatever happens while they are written."""

import io
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO


class WholeFiles(TorchCheckpointIO):
    """Writes beside the file and renames: a full disk or a kill leaves the earlier checkpoint as it was.

    Lightning's own writes to the system's temporary folder and moves the file from there, which across file systems is
    a copy over the earlier checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path` at once or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        torch.save(checkpoint, content)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            aside.write_bytes(content.getbuffer())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
