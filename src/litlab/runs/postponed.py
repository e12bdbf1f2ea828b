"""What a job leaves to the end of its sweep: it is costly, and only the last such job's counts."""

import functools
import time
from collections.abc import Callable

MAX_OVERHEAD = 0.05  # of a sweep's time that may go into what is not postponed


class Postponed:
    """What the jobs of one sweep in one process have postponed: the latest replaces the earlier one.

    Where jobs take long, it is done at once, so that one can look at it while the sweep runs.
    """

    def __init__(self) -> None:
        self._act: Callable[[], None] | None = None
        self._seconds, self._since = 1.0, time.monotonic()  # of the last time; since then

    def put(self, act: Callable[[], None]) -> None:
        """Call `act` in `do`, or at once if that takes little of the time since the last call."""
        self._act = act
        if time.monotonic() - self._since > self._seconds / MAX_OVERHEAD:
            self.do()

    def do(self) -> None:
        """Do what is postponed."""
        act, self._act = self._act, None
        if act is not None:
            started = time.monotonic()
            act()
            self._since = time.monotonic()
            self._seconds = self._since - started


@functools.lru_cache(maxsize=1)
def postponed(sweep: str) -> Postponed:
    """What the jobs of a sweep (its folder) have postponed in this process.

    It is cached here because nothing that a launcher passes to a job outlives the job.
    """
    return Postponed()
