"""What whole sweeps cost, from the command to the leaderboard, by launcher: by turns in one process."""

import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from litlab.benchmark.speed import describe_machine
from litlab.cli import record
from litlab.config.choices import CONF
from litlab.errors import RunError
from litlab.isolation import isolated
from litlab.launch import launch
from litlab.runs.environment import environment, git_state
from litlab.sweeps.folder import results
from litlab.verbs.train import train

# All of them train every network below; in batches of 64 the training on Fashion-MNIST is unstable at 0.2.
RATES = (0.01, 0.012, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.11, 0.12)
SWEEPS = {
    "digits": ("data=digits", "model=mlp"),
    "tiny": ("data=fashion", "model=mlp", "model.hidden_sizes=[20]"),
    "batch64": ("data=fashion", "model=mlp", "data.batch_size=64"),
    "batch256": ("data=fashion", "model=mlp", "data.batch_size=256"),
}
WORKERS = 2
LAUNCHERS = {
    "basic": ("hydra/launcher=basic",),
    "stacked": ("hydra/launcher=stacked",),
    "joblib": ("hydra/launcher=joblib", f"hydra.launcher.n_jobs={WORKERS}"),
}
MEMBERS = (1, 2, 4, 8, 16, 32, 64)


def benchmark_sweeps(
    sweeps: Sequence[str],
    launchers: Sequence[str] = tuple(LAUNCHERS),
    *,
    rounds: int = 1,
    threads: int = 1,
    log_dir: Path = Path("logs"),
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Measure sweeps over 16 rates with each launcher, and stacks of K digits jobs.

    Args:
        sweeps: names in SWEEPS; "members": the stacks.
        launchers: names in LAUNCHERS.
        rounds: of each; the median counts.
        threads: CPU threads of a job; joblib's workers share them.
        log_dir: for the sweeps, which are removed afterwards.
        overrides: further overrides, as for scripts/train.py.

    Raises:
        RunError: a job failed.
    """
    report: dict[str, Any] = {"started": datetime.now().astimezone().isoformat(timespec="seconds"), "git": git_state()}
    report["environment"] = environment() | describe_machine() | {"threads": threads}
    report |= {"rounds": rounds, "overrides": list(overrides), "sweeps": [], "members": []}
    words, alone = ["trainer=cpu", *overrides], f"threads={threads}"
    log_dir.mkdir(parents=True, exist_ok=True)
    # The first of a process pays for its imports.
    measure([*SWEEPS["digits"], *LAUNCHERS["stacked"], *words, alone, "seed=0,1", "trainer.max_epochs=1"], log_dir)
    share = {"joblib": f"threads={max(1, threads // WORKERS)}"}  # of the same cores
    for name in sweeps:
        if name == "members":
            runs = {(name, str(size)): [*_stack(size), alone] for size in MEMBERS}
        else:
            runs = {
                (name, each): [*SWEEPS[name], _swept(RATES), *LAUNCHERS[each], share.get(each, alone)]
                for each in launchers
            }
        measured: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in runs}
        for _ in range(rounds):
            for key, own in runs.items():
                measured[key].append(measure([*own, *words], log_dir))
        for (_, case), found in measured.items():
            medians = {kind: statistics.median(each[kind] for each in found) for kind in found[0]}
            row = {"members": int(case)} if name == "members" else {"sweep": name, "launcher": case}
            report["members" if name == "members" else "sweeps"].append(row | medians)
    return report


def _stack(size: int) -> list[str]:
    rates = [round(0.01 * 1.06**number, 5) for number in range(size)]
    return [*SWEEPS["digits"], _swept(rates), *LAUNCHERS["stacked"], f"sweep.stack={size}"]


def _swept(rates: Sequence[float]) -> str:
    return f"optimizer.lr={','.join(map(str, rates))}"


def measure(words: Sequence[str], log_dir: Path) -> dict[str, float]:
    """Run a sweep: its jobs, seconds, and CPU seconds with those of its workers.

    Raises:
        RunError: a job failed.
    """
    with tempfile.TemporaryDirectory(prefix=".benchmark-", dir=log_dir) as name:
        folder = Path(name) / "sweep"
        before, started = _cpu_seconds(), time.perf_counter()
        _run(["-m", *words, f"hydra.sweep.dir={folder.absolute()}"])
        seconds, used = time.perf_counter() - started, _cpu_seconds() - before
        done = [each["status"] == "completed" for each in results(folder).values()]
    if not done or not all(done):
        raise RunError(f"{done.count(False)} of {len(done)} jobs failed: {' '.join(words)}")
    return {"jobs": len(done), "seconds": seconds, "cpu_seconds": used}


def _run(words: Sequence[str]) -> None:
    """Run a sweep in this process; with joblib in one of its own, where Hydra has loaded its plugins only once."""
    if set(words) & set(LAUNCHERS["joblib"]):
        script = [sys.executable, str(CONF.parent / "scripts" / "train.py"), *words]
        done = subprocess.run(script, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RunError(done.stderr.strip())
        return
    with isolated(), contextlib.redirect_stdout(io.StringIO()):
        launch("train", words, lambda config, again: record(config, train, again=again))


def _cpu_seconds() -> float:
    """Of this process, and of its children that have ended."""
    return sum(os.times()[:4])


def show_sweeps(report: dict[str, Any]) -> None:
    """Print the tables."""
    machine, console = report["environment"], Console(soft_wrap=True, highlight=False)
    console.width = max(console.width, 100)  # so that no number is cut off
    for kind, head in (("sweeps", ("sweep", "launcher")), ("members", ("stack of",))):
        if report[kind]:
            table = Table(*head, box=box.SIMPLE, pad_edge=False)
            for column in ("jobs", "CPU s", "CPU s per job", "s", "CPU, times less", "time, times less"):
                table.add_column(column, justify="right", no_wrap=True)
            for row in _rows(report[kind]):
                table.add_row(*row)
            console.print(table)
    console.print(
        f"whole sweeps, by turns; basic and stacked in one process that has imported torch, while joblib starts "
        f"processes, which import it; median of {report['rounds']}; "
        f"{machine['cpu']}, {machine['cpus']} cores, load {machine['load_average']:.1f} at the start; "
        f"threads {machine['threads']}; torch {machine['torch']}"
    )


def _rows(measured: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    """With the cost of a job of the first row of the same sweep, in those of this one."""
    first: dict[str, Any] = {}
    for row in measured:
        if row.get("sweep", "") != first.get("sweep"):
            first = {"sweep": "", **row}
        each, base = ({kind: one[kind] / one["jobs"] for kind in ("cpu_seconds", "seconds")} for one in (row, first))
        names = [str(value) for key, value in row.items() if key in ("sweep", "launcher", "members")]
        times = [f"{base[kind] / each[kind]:.2f}" for kind in ("cpu_seconds", "seconds")]
        cpu = [f"{row['cpu_seconds']:.1f}", f"{each['cpu_seconds']:.3f}", f"{row['seconds']:.1f}"]
        yield [*names, f"{row['jobs']:.0f}", *cpu, *times]
