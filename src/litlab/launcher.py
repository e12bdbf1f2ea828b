"""The other processes of a run on several devices: how they begin, and that none is left behind."""

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
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from omegaconf import DictConfig
from torch import distributed

from litlab import ranks
from litlab.errors import Interrupted, RequestError, RunError

PATIENCE = 60.0  # seconds
LOOPBACK = {"linux": "lo", "darwin": "lo0"}


class Launcher(_SubprocessScriptLauncher):
    """Starts the script again for each further device, with this job's config on its standard input.

    Lightning's own starts the command line again. In a sweep that is the whole sweep, and in a worker of joblib it is
    not even this program's. It also leaves LOCAL_RANK behind in the environment, so that the next job of a sweep would
    wait for processes that nobody starts, and its port is open to the network; here the processes meet in a file.

    Args:
        trainer: whose strategy is DDP.
        config: of the job.
    """

    def __init__(self, trainer: L.Trainer, config: DictConfig) -> None:
        strategy = trainer.strategy
        super().__init__(strategy.cluster_environment, strategy.num_processes, trainer.num_nodes)
        self.strategy, self.config = strategy, config
        self.folder: str | None = None  # where the processes meet

    def launch(self, function: Callable[..., Any], *args: Any, trainer: L.Trainer | None = None, **kwargs: Any) -> Any:
        """Call the function when all processes are there. (Lightning's hook for fit, validate, test.)"""
        if not distributed.is_initialized() and ranks.place() is None:
            if not ranks.is_launched():
                self._start()
            self._connect()
        return function(*args, **kwargs)

    def kill(self, signum: int) -> None:
        """The run is stopped by a signal. (Lightning would have all processes agree on that, which a dead one cannot.)

        Raises:
            Interrupted: always.
        """
        raise Interrupted(signum)

    def end(self) -> None:
        """End what is left of the other processes."""
        for process in self.procs:
            process.kill()
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.procs, self.folder = [], None

    def wait(self) -> None:
        """Let the other processes come to their end.

        Raises:
            RunError, RequestError: one of them does not come to a good one.
        """
        until = time.monotonic() + PATIENCE
        for process in self.procs:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
        self._raise_for_the_dead()

    def explain(self, error: Exception) -> None:
        """What really happened, if an error in this process comes from the end of another.

        Raises:
            RunError, RequestError: that of the other process.
        """
        if isinstance(error, RequestError | RunError):
            return
        lost = isinstance(error, RuntimeError) and any(word in str(error).lower() for word in ("gloo", "nccl"))
        until = time.monotonic() + (5.0 if lost else 0.0)
        while self.procs and time.monotonic() < until and all(process.poll() is None for process in self.procs):
            time.sleep(0.05)
        self._raise_for_the_dead(error)
        if lost and ranks.place() is not None:
            raise RunError(f"another process of this run ended: see rank*.log in {self._run_dir}") from error

    @property
    def _run_dir(self) -> Path:
        return Path(self.config.paths.run_dir)

    def _start(self) -> None:
        if ranks.script is None:
            raise RequestError("trainer.devices: several are for the command line (scripts/train.py); take one here")
        self.folder = tempfile.mkdtemp(prefix="litlab-")
        self._run_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(ranks.script), ranks.FLAG]
        content = json.dumps(ranks.plain(self.config)).encode() + b"\n"
        for rank in range(1, self.num_processes):
            with ranks.log_file(self._run_dir, rank).open("ab") as log:
                process = subprocess.Popen(
                    [*command, str(rank)],
                    env=os.environ | {"LOCAL_RANK": str(rank), ranks.MEETING: self.folder, "PYTHONUNBUFFERED": "1"},
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C is for the first process, which ends the others
                )
            self.procs.append(process)
            with contextlib.suppress(BrokenPipeError):  # it is dead: _connect tells
                process.stdin.write(content)
                process.stdin.flush()
            threading.Thread(target=self._watch, args=(process,), daemon=True).start()

    def _connect(self) -> None:
        """Wait for all processes, then make them a group; in the first one, with an eye on the others.

        Raises:
            RunError, RequestError: one of them died meanwhile.
        """
        strategy, rank = self.strategy, self.strategy.local_rank
        if sys.platform in LOOPBACK:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK[sys.platform])
        strategy.accelerator.setup_device(strategy.root_device)
        store = distributed.FileStore(f"{self.folder or os.environ[ranks.MEETING]}/store", self.num_processes)
        store.set(f"ready{rank}", "1")
        while not store.check([f"ready{other}" for other in range(self.num_processes)]):
            self._raise_for_the_dead()
            time.sleep(0.02)
        distributed.init_process_group(
            strategy._get_process_group_backend(),
            store=store,
            rank=rank,
            world_size=self.num_processes,
            timeout=strategy._timeout or timedelta(minutes=30),
            device_id=strategy.root_device if strategy.root_device.type != "cpu" else None,
        )

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        """When one has died, end the others, so that no one waits for it.

        gloo then raises an error in the first process; where it waits for a device all the same, it is ended, too.
        """
        if process.wait() == 0:
            return
        others = list(self.procs)
        for other in others:
            other.kill()
        time.sleep(PATIENCE)
        if process in self.procs:
            os.kill(os.getpid(), signal.SIGKILL)

    def _raise_for_the_dead(self, cause: Exception | None = None) -> None:
        codes = {rank: process.poll() for rank, process in enumerate(self.procs, start=1)}
        died = {rank: code for rank, code in codes.items() if code}
        if not died:
            return
        # The watch ends the others with SIGKILL: one that died otherwise is the first.
        rank, code = max(died.items(), key=lambda item: (item[1] != -signal.SIGKILL, -item[0]))
        log = ranks.log_file(self._run_dir, rank)
        said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        if code == 2 and said:
            raise RequestError(said[-1].removeprefix("error: ")) from cause
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if code > 0 and said:
            how += f" ({said[-1].removeprefix('error: ')})"
        elif code == -signal.SIGKILL:
            how += "; if no one did that, memory ran out: try fewer trainer.devices, or a smaller data.batch_size"
        raise RunError(f"process {rank} of {self.num_processes} (counted from 0) {how}; see {log}") from cause


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def joined(trainer: L.Trainer) -> Iterator[None]:
    """After it, the other processes of the run have ended, and this one is by itself again.

    In it, each has its share of the CPU threads, unless `threads` or OMP_NUM_THREADS says how many.

    Raises:
        RunError, RequestError: another process did not come to a good end.
    """
    launcher = trainer.strategy.launcher
    if not isinstance(launcher, Launcher):
        yield
        return
    threads = torch.get_num_threads()
    if not launcher.config.threads and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, cores() // launcher.num_processes))
    try:
        yield
        launcher.wait()
    except Exception as error:
        launcher.explain(error)
        raise
    finally:
        launcher.end()
        if distributed.is_initialized():
            distributed.destroy_process_group()
        torch.set_num_threads(threads)
