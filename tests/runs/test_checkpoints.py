"""A checkpoint is whole, or the earlier one is still there."""

import random
import shutil
import zipfile

import pytest
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from litlab.runs.checkpoints import AtomicCheckpointIO, UnreadableError, read_checkpoint


def test_a_write_that_breaks_off_leaves_the_earlier_file_and_no_folder_is_removed(tmp_path, short_disk):
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1, "weights": torch.ones(1000)}, path)
    with short_disk(100), pytest.raises(OSError, match="File too large"):
        AtomicCheckpointIO().save_checkpoint({"epoch": 2, "weights": torch.ones(1000)}, path)
    assert [each.name for each in path.parent.iterdir()] == ["last.ckpt"]
    assert torch.load(path, weights_only=True)["epoch"] == 1
    AtomicCheckpointIO().save_checkpoint({"epoch": 3}, path)
    assert AtomicCheckpointIO().load_checkpoint(path, weights_only=True) == {"epoch": 3}
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        AtomicCheckpointIO().remove_checkpoint(tmp_path / "folder")
    AtomicCheckpointIO().remove_checkpoint(f"local://{tmp_path}/folder")
    assert (tmp_path / "folder").is_dir()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1, "state_dict": {"weight": torch.arange(100.0)}}, path)
    return path


def test_other_tools_read_a_checkpoint_with_its_checksum_and_damage_is_refused(whole, tmp_path):
    for options in ({}, {"mmap": True}):
        assert torch.equal(torch.load(whole, weights_only=True, **options)["state_dict"]["weight"], torch.arange(100.0))
    assert zipfile.ZipFile(whole).testzip() is None and zipfile.ZipFile(whole).comment.startswith(b"litlab sha256 ")
    for harm in ["flip", "cut"]:
        content, draw = whole.read_bytes(), random.Random(0)
        for _ in range(400):
            place = draw.randrange(len(content))
            flipped = bytes([content[place] ^ 1 << draw.randrange(8)])
            damaged = content[:place] + flipped + content[place + 1 :] if harm == "flip" else content[:place]
            (tmp_path / "damaged.ckpt").write_bytes(damaged)
            with pytest.raises(
                UnreadableError, match=r"damaged\.ckpt: (is damaged|has no checksum|is not a checkpoint)"
            ):
                read_checkpoint(tmp_path / "damaged.ckpt")


class Trusting(Callback):
    def load_state_dict(self, state_dict):
        shutil.rmtree(state_dict["folder"])


class Own(ModelCheckpoint):
    """Of one's own, with a path of its own."""


PLACES = ["/victim", "/victim/private", "local:///victim", "file:///victim/private", "../victim", "~/victim", "victim"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("field", ["best_model_path", "best_k_models", "folder", "checkpoint_callback_best_model_path"])
def test_paths_in_a_checkpoint_are_not_taken_over(tmp_path, place, field):
    """Of a callback of any class; the last field is one that Lightning turns into a callback's state."""
    callback = Own(tmp_path / "run", "best", monitor="val/loss")
    state = callback.state_dict() | {"dirpath": "/victim/other", "best_model_path": ""}
    checkpoint = {"pytorch-lightning_version": "0.9.0", "callbacks": {callback.state_key: state}}
    if field == "best_model_path":
        state[field] = place
    elif field == "best_k_models":
        state[field] = {place: torch.tensor(0.0)}
    elif field == "folder":
        checkpoint["callbacks"]["Trusting"] = {field: place}
    else:
        checkpoint[field] = place
    files = AtomicCheckpointIO()
    files.callbacks = [callback, Trusting()]
    files.save_checkpoint(checkpoint, tmp_path / "forged.ckpt")
    with pytest.raises(UnreadableError, match=r"forged\.ckpt: (names a file outside of|has text in the state of)"):
        files.load_checkpoint(tmp_path / "forged.ckpt")
    assert not (tmp_path / "run").exists()


def test_numbers_and_the_best_weights_are_taken_over(tmp_path):
    old, new = (Own(tmp_path / folder, "best", monitor="val/loss") for folder in ("old", "new"))
    old.best_k_models = {str(tmp_path / "old/best.ckpt"): torch.tensor(0.5)}
    old.best_model_path = str(tmp_path / "old/best.ckpt")
    stopping, stopped = EarlyStopping("val/loss", patience=3), {"wait_count": 1, "patience": 1}
    states = {old.state_key: old.state_dict(), stopping.state_key: stopped, "Trusting": {"numbers": [1, 2.0]}}
    files = AtomicCheckpointIO()
    files.callbacks = [new, stopping, Trusting()]
    files.save_checkpoint({"epoch": 3}, tmp_path / "old/best.ckpt")
    files.save_checkpoint({"callbacks": states, "hyper_parameters": {"a": "text"}}, tmp_path / "old/last.ckpt")
    loaded = files.load_checkpoint(tmp_path / "old/last.ckpt")["callbacks"]
    assert loaded[new.state_key]["best_k_models"] == {str(tmp_path / "new/best.ckpt"): torch.tensor(0.5)}
    assert loaded[new.state_key]["dirpath"] == str(tmp_path / "new")
    assert read_checkpoint(tmp_path / "new/best.ckpt") == {"epoch": 3}
    assert loaded[stopping.state_key] == {"wait_count": 1, "patience": 3}
    assert loaded["Trusting"] == {"numbers": [1, 2.0]}
