"""The other processes of a run on several devices: started, watched, and none of them left behind."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from omegaconf import DictConfig

from litlab.distributed import ranks
from litlab.errors import RequestError, RunError

PATIENCE = 60.0  # seconds


class Processes:
    """Those that run the same script for this machine's further devices; none before `start`.

    Args:
        config: of the job: they get it on their standard input (see `litlab.distributed.ranks`).
        size: how many there are, this one included.
    """

    def __init__(self, config: DictConfig, size: int) -> None:
        self.config, self.size = config, size
        self.run_dir = Path(config.paths.run_dir)
        self.started: list[subprocess.Popen[bytes]] = []
        self.folder: str | None = None  # where the processes meet

    def start(self) -> None:
        """Run the script once more for each further device.

        Raises:
            RequestError: this process runs no script that could be started so.
        """
        if ranks.script is None:
            raise RequestError("trainer.devices: several are for the command line (scripts/train.py); take one here")
        self.folder = tempfile.mkdtemp(prefix="litlab-")
        self.run_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(ranks.script), ranks.FLAG]
        content = json.dumps(ranks.plain(self.config)).encode() + b"\n"
        for rank in range(1, self.size):
            with ranks.log_file(self.run_dir, rank).open("ab") as log:
                process = subprocess.Popen(
                    [*command, str(rank)],
                    env=os.environ | {"LOCAL_RANK": str(rank), ranks.MEETING: self.folder, "PYTHONUNBUFFERED": "1"},
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C is for the first process, which ends the others
                )
            self.started.append(process)
            with contextlib.suppress(BrokenPipeError):  # it is dead: raise_for_the_dead tells
                process.stdin.write(content)
                process.stdin.flush()
            threading.Thread(target=self._watch, args=(process,), daemon=True).start()

    def wait(self) -> None:
        """Let the other processes come to their end.

        Raises:
            RunError, RequestError: one of them does not come to a good one.
        """
        until = time.monotonic() + PATIENCE
        for process in self.started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
        self.raise_for_the_dead()

    def explain(self, error: Exception) -> None:
        """What really happened, if an error in this process comes from the end of another.

        Raises:
            RunError, RequestError: that of the other process.
        """
        if isinstance(error, RequestError | RunError):
            return
        lost = isinstance(error, RuntimeError) and any(word in str(error).lower() for word in ("gloo", "nccl"))
        until = time.monotonic() + (5.0 if lost else 0.0)
        while self.started and time.monotonic() < until and all(process.poll() is None for process in self.started):
            time.sleep(0.05)
        self.raise_for_the_dead(error)
        if lost and ranks.place() is not None:
            raise RunError(f"another process of this run ended: see rank*.log in {self.run_dir}") from error

    def end(self) -> None:
        """End what is left of the other processes."""
        for process in self.started:
            process.kill()
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.started, self.folder = [], None

    def raise_for_the_dead(self, cause: Exception | None = None) -> None:
        """Tell of a process that did not come to a good end, if there is one; of several, the first.

        Raises:
            RunError, RequestError: from `cause`.
        """
        codes = {rank: process.poll() for rank, process in enumerate(self.started, start=1)}
        died = {rank: code for rank, code in codes.items() if code}
        if not died:
            return
        # The watch ends the others with SIGKILL: one that died otherwise is the first.
        rank, code = max(died.items(), key=lambda item: (item[1] != -signal.SIGKILL, -item[0]))
        log = ranks.log_file(self.run_dir, rank)
        said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        if code == 2 and said:
            raise RequestError(said[-1].removeprefix("error: ")) from cause
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if code > 0 and said:
            how += f" ({said[-1].removeprefix('error: ')})"
        elif code == -signal.SIGKILL:
            how += "; if no one did that, memory ran out: try fewer trainer.devices, or a smaller data.batch_size"
        raise RunError(f"process {rank} of {self.size} (counted from 0) {how}; see {log}") from cause

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        """When one has died, end the others, so that no one waits for it.

        gloo then raises an error in the first process; where it waits for a device all the same, it is ended, too.
        """
        if process.wait() == 0:
            return
        others = list(self.started)
        for other in others:
            other.kill()
        time.sleep(PATIENCE)
        if process in self.started:
            os.kill(os.getpid(), signal.SIGKILL)
