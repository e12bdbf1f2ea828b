"""A checkpoint is whole, or the earlier one is still there."""

import pytest
import torch

from litlab.callbacks.checkpoints import WholeFiles


def test_a_write_that_breaks_off_leaves_the_earlier_file(tmp_path, short_disk):
    path = tmp_path / "checkpoints" / "last.ckpt"
    WholeFiles().save_checkpoint({"epoch": 1, "weights": torch.ones(1000)}, path)

    with short_disk(100), pytest.raises(OSError, match="File too large"):
        WholeFiles().save_checkpoint({"epoch": 2, "weights": torch.ones(1000)}, path)
    assert [each.name for each in path.parent.iterdir()] == ["last.ckpt"]
    assert torch.load(path, weights_only=True)["epoch"] == 1
    WholeFiles().save_checkpoint({"epoch": 3}, path)
    assert WholeFiles().load_checkpoint(path, weights_only=True) == {"epoch": 3}
