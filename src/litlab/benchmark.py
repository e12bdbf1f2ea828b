"""How fast litlab trains beside a raw PyTorch loop and beside a tutorial's loop."""

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import lightning
import torch
import torchvision
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.table import Table

from litlab.choices import CONF
from litlab.results import environment, git_state, write
from litlab.train import train

MODELS = {"usual": [256, 128], "tiny": [20]}  # hidden sizes
SETTINGS = (
    *("data=fashion", "data.batch_size=64", "data.normalize=false", "trainer=cpu"),
    *("optimizer=sgd", "optimizer.lr=0.01", "optimizer.momentum=0", "optimizer.nesterov=false", "scheduler=none"),
)  # the tutorial's; all else is as litlab has it by default: validation, metrics, logging, checkpoints


def benchmark(
    models: Sequence[str] = tuple(MODELS),
    *,
    rounds: int = 5,
    threads: int = 1,
    compiled: bool = False,
    log_dir: Path = Path("logs"),
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Measure each of the models, and with `compiled` each once more with task.compile=true.

    Args:
        models: names out of MODELS.
        rounds: epochs that count; one more goes ahead.
        threads: of the CPU.
        compiled: beside the raw loop alone.
        log_dir: its disk takes the runs, which are removed.
        overrides: more of them, as for scripts/train.py.
    """
    report: dict[str, Any] = {"started": datetime.now().astimezone().isoformat(timespec="seconds"), "git": git_state()}
    report["environment"] = environment() | describe_machine() | {"threads": threads}
    report |= {"rounds": rounds, "overrides": [*SETTINGS, *overrides], "measurements": []}
    threads_before = torch.get_num_threads()
    log_dir.mkdir(parents=True, exist_ok=True)
    try:
        for model in models:
            for compile in (False, True) if compiled else (False,):
                with tempfile.TemporaryDirectory(prefix=".benchmark-", dir=log_dir) as folder:
                    own = (f"model.hidden_sizes={MODELS[model]}", f"task.compile={compile}", f"threads={threads}")
                    config = build_config(Path(folder), rounds, [*SETTINGS, *own, *overrides])
                    measured = measure(config)
                report["measurements"].append({"model": model, "compile": compile} | measured)
    finally:
        torch.set_num_threads(threads_before)
    return report


def build_config(folder: Path, rounds: int, overrides: Sequence[str]) -> DictConfig:
    """The config of a run in `folder` with the rival loops at its side."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", ["model=mlp", *overrides])
    config.paths.run_dir, config.trainer.max_epochs = str(folder), 1 + rounds
    loops = ["raw"] if config.task.compile else ["tutorial", "raw"]
    rivals = {"_target_": "litlab.callbacks.rivals.Rivals", "loops": loops, "file": str(folder / "rivals.json")}
    config.callbacks = {**config.callbacks, "rivals": rivals}
    return config


def measure(config: DictConfig) -> dict[str, Any]:
    """Run `train` as it is, and summarize the times of its epochs and of its rivals'."""
    started = time.perf_counter()
    result = train(config)
    told = json.loads(Path(config.callbacks.rivals.file).read_text(encoding="utf-8"))
    seconds = told["seconds"]
    seconds["... + validation"] = [sum(pair) for pair in zip(seconds["litlab"], told["validation"], strict=True)]
    raw = statistics.median(seconds["raw"][1:])
    return {
        "samples": told["samples"],
        "batch_size": told["batch_size"],
        "steps": result["steps"],
        "seconds_startup": told["began"] - started,
        "seconds_compiling": result["seconds_compiling"],
        "loops": {loop: summarize(times, raw, told["samples"]) for loop, times in seconds.items()},
        "loss": told["loss"],
        "distance": told["distance"],
    }


def summarize(times: list[float], raw: float, samples: int) -> dict[str, Any]:
    """A loop's epochs in numbers; the first, which warms up, counts for nothing."""
    median = statistics.median(times[1:])
    return {
        "seconds": times[1:],
        "seconds_first": times[0],
        "median": median,
        "min": min(times[1:]),
        "max": max(times[1:]),
        "ratio": median / raw,
        "samples_per_second": samples / median,
    }


def describe_machine() -> dict[str, Any]:
    """What the times depend on, the load by other processes included."""
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
    """Write the report, to log_dir/benchmark/<date>.json if no file is named; where it is."""
    file = file or log_dir / "benchmark" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}.json"
    write(file, report)
    return file


def show(report: dict[str, Any]) -> None:
    """Print the table."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("model", "loop"):
        table.add_column(name, no_wrap=True)
    for name in ("s/epoch", "min to max", "ratio to raw", "samples/s"):
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
    console.print(table)
    console.print("\n".join(notes))
    console.print(
        f"median of {report['rounds']} epochs by turns in one process; {machine['cpu']}, {machine['cpus']} cores, load "
        f"{machine['load_average']:.1f} at the start; threads {machine['threads']}; torch {machine['torch']}"
    )
