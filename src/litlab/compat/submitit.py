"""Hydra's plugin for submitit, and submitit's internals."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from litlab.compat.patching import replaced


def submitting_by(submit: Callable[..., list[Any]]) -> contextlib.AbstractContextManager[None]:
    """In the body, the plugin submits by `submit(map_array, executor, run, *columns)`: a job for each row of columns.

    `map_array` is submitit's own, with the same arguments.
    """
    import submitit

    map_array = submitit.AutoExecutor.map_array
    return replaced(submitit.AutoExecutor, "map_array", lambda *given: submit(map_array, *given))


def show_gpus(executor: Any, names: Sequence[str]) -> None:
    """Let each local job see these GPUs; without this, submitit hides all from jobs that did not ask for some."""
    executor._executor.parameters |= {"visible_gpus": list(names), "gpus_per_node": len(names)}


def stop(job: Any) -> None:
    """Ask a job to end; a local one by the signal on which a run writes its result."""
    with contextlib.suppress(OSError):  # it may have ended
        if hasattr(job, "_process"):
            job._process.terminate()
        else:
            job.cancel(check=False)
