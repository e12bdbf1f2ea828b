"""One copy of a loaded data set for all jobs of a sweep in the same process."""

import functools
import os
import pickle
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from litlab.compat.torch import version
from litlab.data.splits import Split

Splits = dict[str, Split]

# Settings that do not change the splits.
OF_BATCHES = {"batch_size", "eval_batch_size", "shuffle", "drop_last", "passes_per_epoch"}


class SharedCopy:
    """The final splits of the data set loaded last, and only those, so that memory does not grow during a sweep."""

    def __init__(self) -> None:
        # Key, splits, attributes and versions in one tuple, because jobs may run in threads.
        self._kept: tuple[Any, Splits, dict[str, Any], Any] = (None, {}, {}, None)

    def get(self, settings: Mapping[str, Any], data: object, load: Callable[[], Splits]) -> Splits:
        """The kept splits if settings and files are the same, else the result of `load`.

        Splits are not kept if loading draws from the global random generators, which each job seeds differently, nor
        if one has been changed in place.

        Args:
            settings: of the data set, with its class as `_target_`.
            data: the data set; it gets the attributes that loading sets.
            load: loads, splits and normalizes.

        Returns:
            a new dict of shared tensors, not to be changed in place.
        """
        key, (kept, splits, attributes, versions) = _key(settings), self._kept
        if kept == key and versions == _versions(splits):
            vars(data).update(attributes)
            return dict(splits)
        del splits
        self._kept = (None, {}, {}, None)  # before loading, because two copies would need twice the memory
        state, before = _random_state(), dict(vars(data))
        splits = load()
        attributes = {name: value for name, value in vars(data).items() if value is not before.get(name, before)}
        versions = _versions(splits)
        if versions is not None and _random_state() == state:
            self._kept = (key, dict(splits), attributes, versions)
        return splits


@functools.lru_cache(maxsize=1)
def shared_copy(sweep: str) -> SharedCopy:
    """The copy that the jobs of one sweep (its folder) share in this process.

    It is cached here because nothing that a launcher passes to a job outlives the job.
    """
    return SharedCopy()


def _key(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """What splits depend on: settings, files, and the number of threads, which changes rounding."""
    used = sorted((name, value) for name, value in settings.items() if name not in OF_BATCHES)
    files = [_state_of_files(value) for _, value in used if isinstance(value, str)]
    return repr(used), files, torch.get_num_threads()  # repr, because 1 == 1.0, but val_size=1 is one sample


def _state_of_files(path: str) -> list[tuple[str, int, int]]:
    """Name, size and modification time of a file, or of the files in a folder; empty if the path does not exist."""
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            files = [entry.path for entry in entries if entry.is_file()]
    else:
        files = [path] if os.path.isfile(path) else []
    return [(file, (state := os.stat(file)).st_size, state.st_mtime_ns) for file in sorted(files)]


def _versions(splits: Splits) -> list[int] | None:
    """In-place changes of each tensor; None if one does not count them."""
    tensors = [getattr(each, "stored", each) for split in splits.values() for each in split]
    return None if any(map(torch.is_inference, tensors)) else [version(tensor) for tensor in tensors]


def _random_state() -> bytes:
    """The state of the global generators of Python, NumPy and torch."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    states = [state.numpy() for state in (torch.get_rng_state(), *devices)]
    return pickle.dumps((random.getstate(), np.random.get_state(), states))
