"""One loaded copy of a data set for all jobs of a sweep that run in the same process."""

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

# Settings that choose batches out of finished splits.
OF_BATCHES = {"batch_size", "eval_batch_size", "shuffle", "drop_last", "passes_per_epoch"}


class SharedCopy:
    """The finished splits of the data set that was loaded last, and of no other: memory does not grow with a sweep."""

    def __init__(self) -> None:
        # Key, splits, attributes and versions as one tuple, for jobs may run in threads.
        self._kept: tuple[Any, Splits, dict[str, Any], Any] = (None, {}, {}, None)

    def get(self, settings: Mapping[str, Any], data: object, load: Callable[[], Splits]) -> Splits:
        """The splits that are kept if they are of the same settings and files, else those that `load` gives.

        Splits are not kept where loading draws from the global random generators, whose seed is another in another job,
        and no longer once one was changed in place.

        Args:
            settings: of the data set, with its class as `_target_`.
            data: the data set; attributes that loading sets are set again.
            load: loads, carves and normalizes.

        Returns:
            a new dict of tensors that other jobs use, too: not to be changed in place.
        """
        key, (kept, splits, attributes, versions) = _key(settings), self._kept
        if kept == key and versions == _versions(splits):
            vars(data).update(attributes)
            return dict(splits)
        del splits
        self._kept = (None, {}, {}, None)  # before anything is loaded: two copies would need twice the memory
        state, before = _random_state(), dict(vars(data))
        splits = load()
        attributes = {name: value for name, value in vars(data).items() if value is not before.get(name, before)}
        versions = _versions(splits)
        if versions is not None and _random_state() == state:
            self._kept = (key, dict(splits), attributes, versions)
        return splits


@functools.lru_cache(maxsize=1)
def shared_copy(sweep: str) -> SharedCopy:
    """What this process's jobs of one sweep share, and no other run; `sweep` is its folder.

    It is kept at the level of the module because nothing that a launcher gives to a job outlives the job.
    """
    return SharedCopy()


def _key(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """What splits depend on: settings, files, and threads, which order the sums of mean and standard deviation."""
    used = sorted((name, value) for name, value in settings.items() if name not in OF_BATCHES)
    files = [_state_of_files(value) for _, value in used if isinstance(value, str)]
    return repr(used), files, torch.get_num_threads()  # by repr, for 1 == 1.0, but val_size=1 is one sample


def _state_of_files(path: str) -> list[tuple[str, int, int]]:
    """Name, size and time of change of a file, or of those that lie in a folder; empty if there is no such path."""
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            files = [entry.path for entry in entries if entry.is_file()]
    else:
        files = [path] if os.path.isfile(path) else []
    return [(file, (state := os.stat(file)).st_size, state.st_mtime_ns) for file in sorted(files)]


def _versions(splits: Splits) -> list[int] | None:
    """How often each tensor was changed in place, views of it included; None if one does not tell."""
    tensors = [tensor for split in splits.values() for tensor in split]
    return None if any(map(torch.is_inference, tensors)) else [version(tensor) for tensor in tensors]


def _random_state() -> bytes:
    """Of the global generators of Python, NumPy and torch."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    states = [state.numpy() for state in (torch.get_rng_state(), *devices)]
    return pickle.dumps((random.getstate(), np.random.get_state(), states))
