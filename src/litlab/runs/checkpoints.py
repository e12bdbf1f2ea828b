"""Checkpoints: written atomically, with a checksum; read as data, from which a run takes no paths."""

import hashlib
import io
import logging
import os
import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

import lightning.pytorch as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor

from litlab.data.preprocessing.spec import KEY as SPEC
from litlab.distributed.ranks import is_first_process
from litlab.errors import RunError
from litlab.files import read_regular, write_atomic
from litlab.runs.logs import KEY as LOGS

log = logging.getLogger(__name__)

# A checkpoint is a zip file, which ends with a comment and, before it, the comment's length in 2 bytes. The comment
# holds the checksum of the file as torch wrote it (with length 0), so other tools still read the file.
MARK = b"litlab sha256 "
COMMENT = len(MARK) + 2 * hashlib.sha256().digest_size
LENGTH = COMMENT.to_bytes(2, "little")
# Read by name, hence harmless; everything else must not contain text (see `trusted_part`).
KNOWN_KEYS = {"epoch", "global_step", "pytorch-lightning_version", "state_dict", "loops", "callbacks"}
KNOWN_KEYS |= {"optimizer_states", "lr_schedulers", "litlab", LOGS, SPEC}
HPARAMS = re.compile("(datamodule_)?(hyper_parameters|hparams_name|hparams_type)")


class UnreadableError(RunError):
    """A file is not an intact checkpoint of litlab.

    Args:
        path: of the file.
        problem: continues the path: "is damaged".
    """

    def __init__(self, path: str | Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.problem = problem


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Verify the checksum of a checkpoint, and load it.

    Raises:
        UnreadableError: it is damaged, truncated, or not a checkpoint of litlab.
        OSError: it cannot be read.
    """
    try:
        content = read_regular(Path(path))
    except ValueError as error:
        raise UnreadableError(path, f"is {error}") from error
    _verify(path, content)
    try:
        checkpoint = torch.load(io.BytesIO(content), weights_only=True, map_location=map_location)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:  # intact, but not ours
        raise UnreadableError(path, "is not a checkpoint of litlab") from error
    if not isinstance(checkpoint, dict):
        raise UnreadableError(path, "is not a checkpoint of litlab")
    return checkpoint


def _verify(path: str | Path, content: bytes) -> None:
    if not content.startswith(b"PK"):
        raise UnreadableError(path, "is not a checkpoint of litlab")
    end = len(content) - COMMENT
    if content[end - len(LENGTH) : end + len(MARK)] != LENGTH + MARK:
        raise UnreadableError(path, "has no checksum at its end: it was cut off, or an older litlab wrote it")
    digest = hashlib.sha256(memoryview(content)[: end - len(LENGTH)])
    digest.update(bytes(len(LENGTH)))
    if content[end + len(MARK) :] != digest.hexdigest().encode():
        raise UnreadableError(path, "is damaged: its content does not match its checksum")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes to a temporary file beside the target and renames it: a full disk or a kill leaves the earlier checkpoint.

    Lightning's own writes to the system's temporary folder, and moving a file across file systems copies over the
    earlier checkpoint. Whatever the Trainer loads passes through `trusted_part`.
    """

    def __init__(self) -> None:
        self.callbacks: Iterable[L.Callback] = ()  # of the Trainer, which is built after this

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint` with its checksum to `path`, atomically."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        digest = hashlib.sha256(content.getbuffer()).hexdigest()
        content.seek(-len(LENGTH), os.SEEK_END)
        content.write(LENGTH + MARK + digest.encode())
        write_atomic(Path(path), content.getbuffer())

    def load_checkpoint(self, path: str | Path, map_location: Any = "cpu", weights_only: Any = True) -> dict[str, Any]:
        """Read a checkpoint for the Trainer; always with `weights_only`.

        Raises:
            UnreadableError: as `read_checkpoint` and `trusted_part`.
        """
        return trusted_part(read_checkpoint(path, map_location), self.callbacks, Path(path).resolve())

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove one file; never a folder, and nothing by another protocol, as Lightning's own does."""
        Path(path).unlink(missing_ok=True)


def trusted_part(checkpoint: Mapping[str, Any], callbacks: Iterable[L.Callback], source: Path) -> dict[str, Any]:
    """The part of a checkpoint that a run may load: an untrusted file must not name files to read or remove.

    Paths of checkpoints are rebuilt in the run's own folder. All other text is left out or refused, because a callback
    of any class could take it for a path. Lightning's other callbacks and litlab's keep none.

    Args:
        checkpoint: as loaded.
        callbacks: of the run.
        source: its resolved path; the best weights so far lie beside it.

    Raises:
        UnreadableError: it names files outside of its folder, or contains text where none belongs.
    """
    kept = {name: value for name, value in checkpoint.items() if not HPARAMS.fullmatch(str(name))}
    weights = set(map(str, kept.get("state_dict", ())))
    for name, value in kept.items():
        if name not in KNOWN_KEYS:
            _refuse_text(value, str(name), weights, source)
    if "callbacks" not in kept:
        return kept
    states = {}
    for callback in callbacks:
        key = callback.state_key
        state = kept["callbacks"].get(key)
        if state is None:
            continue
        if isinstance(callback, ModelCheckpoint):
            state = _in_own_folder(callback, state, weights, source)
            callback.current_score = state["current_score"]  # which its own load_state_dict leaves out
        elif isinstance(callback, EarlyStopping):
            state = dict(state) | {"patience": callback.patience}  # a setting: the run's own
        elif not type(callback).__module__.startswith(("lightning.", "litlab.")):
            _refuse_text(state, key, weights | set(_texts(callback.state_dict())), source)
        states[key] = state
    return kept | {"callbacks": states}


def _in_own_folder(
    callback: ModelCheckpoint, state: Mapping[str, Any], weights: set[str], source: Path
) -> dict[str, Any]:
    """The state of a ModelCheckpoint, with its files in the run's own folder.

    The best checkpoints are copied there; the last one stays with the earlier run.
    """
    own = callback.state_dict()
    _refuse_text({name: value for name, value in state.items() if name not in own}, callback.state_key, weights, source)
    folder, home = source.parent, Path(str(callback.dirpath)).resolve()
    scores, latest = {}, ""
    for path in dict.fromkeys((*state["best_k_models"], state["best_model_path"])):
        if not path:
            continue
        try:
            inside = PurePath(path).relative_to(state["dirpath"])
        except (TypeError, ValueError):
            inside = PurePath("..")
        file = folder / inside
        if ".." in inside.parts or file.resolve() != file or (file.exists() and not file.is_file()):
            raise UnreadableError(source, f"names a file outside of its own folder ({path}), which is not touched")
        taken, score = home / inside, state["best_k_models"].get(path)
        if not file.exists():
            log.warning("%s: %s is missing beside it, so the best weights so far are lost", source, inside)
        elif score is not None:
            scores[str(taken)] = score
            if taken != file and is_first_process():
                content = file.read_bytes()
                _verify(file, content)
                write_atomic(taken, content)
        elif taken == file:
            latest = str(taken)
    if not scores:
        return own | {"best_model_path": latest}
    best, worst = (max, min) if callback.mode == "max" else (min, max)
    first, last = best(scores, key=scores.__getitem__), worst(scores, key=scores.__getitem__)
    own |= {"best_k_models": scores, "best_model_path": first, "best_model_score": scores[first]}
    own |= {"current_score": score} if isinstance(score := state.get("current_score"), Tensor | float) else {}
    return own | {"kth_best_model_path": last, "kth_value": scores[last]}


def _refuse_text(value: Any, where: str, known: set[str], source: Path) -> None:
    """Refuse text other than `known` and keys that are identifiers."""
    for text in _texts(value):
        if text not in known:
            raise UnreadableError(source, f"has text in the state of {where} that a run does not take over ({text!r})")


def _texts(value: Any) -> list[str]:
    if value is None or isinstance(value, bool | int | float | complex | Tensor | torch.dtype | torch.device):
        return []
    if isinstance(value, Mapping):
        keys = [key for key in value if not (isinstance(key, int) or re.fullmatch(r"\w+", str(key)))]
        return [*map(str, keys), *(text for item in value.values() for text in _texts(item))]
    if isinstance(value, list | tuple | set):
        return [text for item in value for text in _texts(item)]
    return [str(value)]
