"""Work in somebody else's process, such as a notebook's: what it changes there is restored."""

import contextlib
import logging
import os
import random
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Restore what a run changes: logging, random state, arithmetic, environment, working directory, Hydra's state.

    What libraries set up when they are first imported stays, so import them before. (Signals: `litlab.signals`.)
    """
    with contextlib.ExitStack() as stack:
        for part in (_interpreter, _logging, hydra_state, random_state, _arithmetic):
            stack.enter_context(part())
        yield


@contextlib.contextmanager
def hydra_state() -> Iterator[None]:
    """In the body Hydra is not initialized; afterwards as before."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.version import VersionBase

    hydra, config, version = GlobalHydra.instance(), HydraConfig.instance(), VersionBase.instance()
    before = hydra.hydra, config.cfg, version.version_base
    hydra.clear()
    try:
        yield
    finally:
        hydra.hydra, config.cfg, version.version_base = before


@contextlib.contextmanager
def random_state() -> Iterator[None]:
    """Restore the generators of Python, numpy and torch, on all devices."""
    import numpy as np
    import torch

    before, of_numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(before)
        np.random.set_state(of_numpy)


@contextlib.contextmanager
def _arithmetic() -> Iterator[None]:
    """Restore torch's threads, precision and algorithms, and whether denormal numbers are flushed to zero."""
    import torch

    cudnn = torch.backends.cudnn
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    algorithms = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    of_cudnn = cudnn.benchmark, cudnn.deterministic
    flushes = sys.float_info.min / 2 == 0  # torch does not tell
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(algorithms[0], warn_only=algorithms[1])
        cudnn.benchmark, cudnn.deterministic = of_cudnn
        torch.set_flush_denormal(flushes)


@contextlib.contextmanager
def _interpreter() -> Iterator[None]:
    """Restore the arguments, the environment and the working directory."""
    arguments, environment = sys.argv, dict(os.environ)
    sys.argv = arguments[:]
    try:
        with contextlib.chdir(Path.cwd()):
            yield
    finally:
        sys.argv = arguments
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    """Restore all loggers and warnings; in the body the root logger has no handlers, which are closed afterwards."""
    known = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    before = [(each, _state(each)) for each in (logging.root, *known)]
    raises, captures = logging.raiseExceptions, warnings.showwarning.__module__ == logging.__name__
    logging.root.handlers = []
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for handler in logging.root.handlers:
            handler.close()
        for logger, (level, values) in before:
            logger.setLevel(level)
            vars(logger).update(values)
        logging.captureWarnings(captures)
        logging.raiseExceptions = raises


def _state(logger: logging.Logger) -> tuple[int, dict[str, object]]:
    lists = {"handlers": logger.handlers[:], "filters": logger.filters[:]}
    return logger.level, lists | {"propagate": logger.propagate, "disabled": logger.disabled}
