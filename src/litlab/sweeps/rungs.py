"""The rungs of successive halving, and which settings go on from one."""

import math
from collections.abc import Sequence

from litlab.errors import RequestError
from litlab.sweeps.job import Job
from litlab.sweeps.rows import Spread


def rungs_of(jobs: Sequence[Job], first: int, eta: int) -> list[int]:
    """The `rungs` of these jobs.

    Raises:
        RequestError: their trainings have no common length in epochs.
    """
    lengths = {job.settings["trainer"].get("max_epochs") for job in jobs}
    if len(lengths) > 1 or lengths & {None, -1}:
        raise RequestError(f"sweep.eta={eta}: needs the same trainer.max_epochs, such as 9, for all jobs")
    return rungs(first, eta, max(lengths))


def rungs(first: int, eta: int, epochs: int) -> list[int]:
    """The epochs of the rungs, and last that of the whole training: 1, 3, 8 for eta 3 and 8 epochs."""
    found = []
    while first < epochs:
        found.append(first)
        first *= eta
    return [*found, epochs]


def going_on(settings: int, eta: int) -> int:
    """How many of so many settings go on from a rung: one of `eta`, rounded up."""
    return math.ceil(settings / eta)


def best(
    values: Sequence[Sequence[float | None]], losses: Sequence[Sequence[float | None]], eta: int, mode: str
) -> list[int]:
    """The indices of the best settings, see `going_on`.

    Args:
        values: of each setting those of its jobs, over seeds and folds: by their mean; if one is None, it is not among
            the best.
        losses: of each setting those of its jobs; they break ties.
        eta: see above.
        mode: max or min.
    """
    sign, ties = -1 if mode == "max" else 1, [Spread.of(each).mean for each in losses]
    means = [Spread.of(each) for each in values]
    order = sorted(
        (sign * each.mean, math.inf if ties[number] is None else ties[number], number)
        for number, each in enumerate(means)
        if each.mean is not None and each.n == len(values[number])
    )
    return sorted(number for *_, number in order[: going_on(len(values), eta)])
