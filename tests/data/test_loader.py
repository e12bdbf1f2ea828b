"""Batches out of memory."""

import functools
from itertools import chain

import torch
from torch.utils.data import DataLoader, TensorDataset

from litlab.data.loader import Chunks, TensorLoader

INPUTS = torch.arange(20.0).reshape(10, 2)
TARGETS = torch.arange(10)


def targets(loader):
    return [y.tolist() for _, y in loader]


def test_in_order_in_one_iteration():
    loader = TensorLoader(INPUTS, TARGETS, 4)
    assert targets(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(loader) == 3
    for x, y in loader:
        assert torch.equal(x, INPUTS[y])
    loader = TensorLoader(INPUTS, TARGETS, 4, passes=3)
    assert len(loader) == 9
    assert targets(loader) == 3 * [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_shuffled_batches_hold_each_sample_once_in_an_order_of_seed_epoch_and_pass():
    loader = TensorLoader(INPUTS, TARGETS, 4, shuffle=True)
    batches = targets(loader)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert sorted(chain(*batches)) == list(range(10))
    assert list(chain(*batches)) != list(range(10))
    for x, y in loader:
        assert torch.equal(x, INPUTS[y])
    epoch = 0

    def order(seed, passes=1):
        loader = TensorLoader(INPUTS, TARGETS, 4, shuffle=True, seed=seed, epoch=lambda: epoch, passes=passes)
        return list(chain(*targets(loader)))

    first = order(0, passes=2)
    torch.manual_seed(123)  # torch's own random numbers have no part in it
    torch.rand(7)
    assert order(0, passes=2) == first
    assert order(0) == first[:10] != first[10:]
    assert order(1) != first[:10]
    epoch = 1
    assert order(0) != first[:10]


def test_shares_of_ranks_and_chunks():
    for shuffle in [False, True]:
        loader = functools.partial(TensorLoader, INPUTS, TARGETS, 4, shuffle=shuffle, seed=5)
        whole = targets(loader())
        for ranks, sizes in ((2, [[2, 2], [2, 2], [1, 1]]), (3, [[2, 1, 1], [2, 1, 1], [1, 1, 0]])):
            shares = [list(loader(rank=rank, world_size=ranks)) for rank in range(ranks)]
            assert [len(share) for share in shares] == [len(whole)] * ranks  # DDP waits for all
            for batch, size, *parts in zip(whole, sizes, *shares, strict=True):
                counted = [[] if part.idle else part.targets.tolist() for part in parts]
                assert [len(part) for part in counted] == size
                assert sorted(chain(*counted)) == sorted(batch)
                for part in parts:
                    assert part.all_targets.tolist() == batch
                    assert len(part.targets) and torch.equal(part.inputs, INPUTS[part.targets])
    for size, lengths in [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (16, [5])]:
        loader = TensorLoader(INPUTS, TARGETS, 2)
        chunks = Chunks(loader, size)
        assert [len(chunk) for chunk in chunks] == lengths
        assert len(chunks) == len(lengths)
        batches = [batch for chunk in chunks for batch in chunk]
        for (x, y), (x_alone, y_alone) in zip(batches, loader, strict=True):
            assert torch.equal(x, x_alone) and torch.equal(y, y_alone)
    chunks = Chunks(DataLoader(TensorDataset(INPUTS, TARGETS), batch_size=3), 2)
    assert [[len(y) for _, y in chunk] for chunk in chunks] == [[3, 3], [3, 1]]
