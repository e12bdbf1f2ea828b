"""How fast litlab trains, compared with a raw PyTorch loop and with a tutorial's loop."""

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch
import torchvision
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.table import Table

from litlab.compat.hydra import VERSION_BASE
from litlab.config.choices import CONF
from litlab.runs.environment import environment, git_state
from litlab.runs.result import write
from litlab.verbs.train import train

FASHION = (
    *("data=fashion", "data.batch_size=64", "data.normalize=false", "model=mlp"),
    *("optimizer=sgd", "optimizer.lr=0.01", "optimizer.momentum=0", "optimizer.nesterov=false", "scheduler=none"),
)  # as in the tutorial; otherwise litlab's defaults: validation, metrics, logging, checkpoints


class Case(NamedTuple):
    """A training, and the baseline loops; ratios are relative to the last of them."""

    overrides: tuple[str, ...]
    loops: tuple[str, ...]


MODELS = {
    "usual": Case((*FASHION, "model.hidden_sizes=[256,128]"), ("tutorial", "raw")),
    "tiny": Case((*FASHION, "model.hidden_sizes=[20]"), ("tutorial", "raw")),
    "sine": Case(("experiment=sine_polynomial",), ("by hand",)),
}


def benchmark(
    models: Sequence[str] = tuple(MODELS),
    *,
    rounds: int = 5,
    threads: int = 1,
    compiled: bool = False,
    log_dir: Path = Path("logs"),
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Measure each model; with `compiled`, also with task.compile=true.

    Args:
        models: names in MODELS.
        rounds: measured epochs, after a warm-up epoch.
        threads: CPU threads.
        compiled: also compiled, compared with the raw loop only.
        log_dir: for the runs, which are removed afterwards.
        overrides: further overrides, as for scripts/train.py.
    """
    report: dict[str, Any] = {"started": datetime.now().astimezone().isoformat(timespec="seconds"), "git": git_state()}
    report["environment"] = environment() | describe_machine() | {"threads": threads}
    report |= {"rounds": rounds, "measurements": []}
    threads_before = torch.get_num_threads()
    log_dir.mkdir(parents=True, exist_ok=True)
    try:
        for model in models:
            for compile in (False, True) if compiled else (False,):
                own, loops = MODELS[model]
                words = [
                    *own,
                    "trainer=cpu",
                    "trainer.enable_progress_bar=false",
                    f"task.compile={compile}",
                    f"threads={threads}",
                    *overrides,
                ]
                with tempfile.TemporaryDirectory(prefix=".benchmark-", dir=log_dir) as folder:
                    measured = measure(build_config(Path(folder), rounds, words, loops[-1:] if compile else loops))
                report["measurements"].append({"model": model, "compile": compile, "overrides": words} | measured)
    finally:
        torch.set_num_threads(threads_before)
    return report


def build_config(folder: Path, rounds: int, overrides: Sequence[str], loops: Sequence[str]) -> DictConfig:
    """The config of a run in `folder` with `BaselineLoops`."""
    with initialize_config_dir(str(CONF), **VERSION_BASE):
        config = compose("train", list(overrides))
    config.paths.run_dir, config.trainer.max_epochs = str(folder), 1 + rounds
    baselines = {
        "_target_": "litlab.callbacks.baseline_loops.BaselineLoops",
        "loops": list(loops),
        "file": str(folder / "baselines.json"),
    }
    config.callbacks = {**config.callbacks, "baselines": baselines}
    return config


def measure(config: DictConfig) -> dict[str, Any]:
    """Run `train`, and summarize the epoch times of litlab and of the baseline loops."""
    started = time.perf_counter()
    result = train(config)
    report = json.loads(Path(config.callbacks.baselines.file).read_text(encoding="utf-8"))
    seconds = report["seconds"]
    if report["validation"]:
        seconds["... + validation"] = [sum(pair) for pair in zip(seconds["litlab"], report["validation"], strict=True)]
    base = statistics.median(seconds[config.callbacks.baselines.loops[-1]][1:])
    return {
        "samples": report["samples"],
        "batch_size": report["batch_size"],
        "steps": result.steps,
        "seconds_startup": report["started"] - started,
        "seconds_compiling": result.seconds_compiling,
        "loops": {loop: summarize(times, base, report["samples"]) for loop, times in seconds.items()},
        "loss": report["loss"],
        "distance": report["distance"],
    }


def summarize(times: list[float], base: float, samples: int) -> dict[str, Any]:
    """Statistics of a loop's epochs, without the warm-up epoch."""
    median = statistics.median(times[1:])
    return {
        "seconds": times[1:],
        "seconds_first": times[0],
        "median": median,
        "min": min(times[1:]),
        "max": max(times[1:]),
        "ratio": median / base,
        "samples_per_second": samples / median,
    }


def describe_machine() -> dict[str, Any]:
    """Hardware, versions and current load."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "torchvision": torchvision.__version__,
    }


def save(report: dict[str, Any], file: Path | None, log_dir: Path = Path("logs")) -> Path:
    """Write the report to `file`, or else to log_dir/benchmark/<date>.json; the path."""
    file = file or log_dir / "benchmark" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}.json"
    write(file, report)
    return file


def show(report: dict[str, Any]) -> None:
    """Print the table."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("model", "loop"):
        table.add_column(name, no_wrap=True)
    for name in ("s/epoch", "min to max", "ratio", "samples/s"):
        table.add_column(name, justify="right", no_wrap=True)
    notes = []
    for measured in report["measurements"]:
        name = measured["model"] + (", compiled" if measured["compile"] else "")
        for loop, each in measured["loops"].items():
            span = f"{each['min']:.2f} to {each['max']:.2f}"
            numbers = (f"{each['median']:.3f}", span, f"{each['ratio']:.2f}", f"{each['samples_per_second']:,.0f}")
            table.add_row(name, loop, *numbers, end_section=loop == list(measured["loops"])[-1])
        compiling = f", {measured['seconds_compiling']:.1f} s compiling" if measured["compile"] else ""
        distance = max(measured["distance"].values())
        notes.append(
            f"{name}: {measured['seconds_startup']:.1f} s from config to first step{compiling}; final weights of the "
            f"loops differ by at most {distance:.1g}"
        )
    machine, console = report["environment"], Console(soft_wrap=True, highlight=False)
    console.width = max(console.width, 100)  # so that no number is cut off
    console.print(table)
    console.print("\n".join(notes))
    console.print(
        f"median of {report['rounds']} epochs, interleaved in one process; ratio to the raw loop (sine: by hand); "
        f"{machine['cpu']}, {machine['cpus']} cores, load {machine['load_average']:.1f} at the start; "
        f"threads {machine['threads']}; torch {machine['torch']}"
    )
