"""Call a function periodically in a thread."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

SHARE = 0.05  # the most of the time that the calls may take


@contextlib.contextmanager
def polling(look: Callable[[], None], interval: float, name: str) -> Iterator[None]:
    """Call `look` every `interval` seconds while the body runs; less often if it is slow.

    Where it raises OSError or ValueError, the next call tries again.

    Args:
        look: what to call, in another thread.
        interval: seconds.
        name: of the thread.
    """
    end = threading.Event()

    def poll() -> None:
        pause = interval
        while not end.wait(pause):
            started = time.perf_counter()
            with contextlib.suppress(OSError, ValueError):
                look()
            pause = max(interval, (time.perf_counter() - started) / SHARE)

    thread = threading.Thread(target=poll, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
