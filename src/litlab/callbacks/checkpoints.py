"""Checkpoints that are whole, whatever happens while they are written, and a best one that outlives its run."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from litlab.files import write_whole


class WholeFiles(TorchCheckpointIO):
    """Writes beside the file and renames: a full disk or a kill leaves the earlier checkpoint as it was.

    Lightning's own writes to the system's temporary folder and moves the file from there, which across file systems is
    a copy over the earlier checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path` at once or not at all."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_whole(Path(path), content.getbuffer())


class BestModelCheckpoint(ModelCheckpoint):
    """Lightning's, but a run that goes on from another's checkpoint takes over its best one, too.

    Lightning's own forgets it where the folder is another: the best of the second part would be called the best.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state in a checkpoint, and the file that it names as the best, if it is still there."""
        best, score = Path(state_dict["best_model_path"]), state_dict["best_model_score"]
        assert self.dirpath is not None
        if state_dict["dirpath"] != self.dirpath and score is not None and best.is_file():
            taken = Path(self.dirpath, best.name)
            write_whole(taken, best.read_bytes())
            paths = dict.fromkeys(("best_model_path", "kth_best_model_path"), str(taken))
            state_dict = state_dict | paths | {"dirpath": self.dirpath, "best_k_models": {str(taken): score}}
        super().load_state_dict(state_dict)
