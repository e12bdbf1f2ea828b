"""Experiments over several seeds, and tables: run them, measure, and update results.json and RESULTS.md."""

import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from litlab.benchmark.measurements import TABLES, Measurement, read, read_tables, reference
from litlab.benchmark.page import page
from litlab.config.choices import CONF, choices
from litlab.errors import RequestError, RunError
from litlab.files import write_atomic
from litlab.runs.result import StoredResult

ROOT = CONF.parent
RUNS = Path("logs/reproduce")
DATA, PAGE = "results.json", "RESULTS.md"


def reproduce(experiments: Sequence[str], seeds: int | None, jobs: int, again: bool, data_dir: str) -> None:
    """Measure `experiments` (none: all), and update their entries in results.json and their rows in RESULTS.md.

    Runs that the current code and configs have completed are not repeated, unless `again`.

    Raises:
        RequestError: there is no such experiment, or a number is not positive.
        RunError: a run failed; its experiment keeps its entry.
    """
    known = choices()["experiment"]
    for name in experiments:
        if name not in known:
            raise RequestError(f"experiment={name}: there is no such experiment; choose from {', '.join(known)}")
    for option, number in (("--seeds", seeds), ("--jobs", jobs)):
        if number is not None and number < 1:
            raise RequestError(f"{option} {number}: must be a whole number from 1")
    names = list(dict.fromkeys(experiments or known))
    runs = [
        (name, seed)
        for name in names
        for seed in range(seeds or reference(name).seeds)
        if again or (result := completed(ROOT / RUNS / name / f"seed{seed}")) is None or not is_current(result)
    ]
    with ThreadPoolExecutor(jobs) as pool:
        succeeded = list(pool.map(lambda run: train(run[0], run[1], data_dir), runs))
    failures = [run for run, success in zip(runs, succeeded, strict=True) if not success]
    measurements = read(ROOT / DATA)
    for name in set(names) - {name for name, _ in failures}:
        if results := list(filter(None, map(completed, (ROOT / RUNS / name).glob("seed*")))):
            measurements[name] = measure(name, results)
    _write_data({name: asdict(measurements[name]) for name in known if name in measurements}, read_tables(ROOT / DATA))
    write_page()
    if failures:
        raise RunError(
            "\n".join(
                f"experiment={name} seed={seed}: failed; {PAGE} keeps its former row; see {RUNS}/{name}/seed{seed}"
                for name, seed in failures
            )
        )


def reproduce_tables(names: Sequence[str], seeds: int | None, data_dir: str) -> None:
    """Measure data=table beside scikit-learn, and update rows in results.json and RESULTS.md, each as it is done.

    Raises:
        RequestError: there is no such table.
        RunError: a run failed.
    """
    from litlab.benchmark.tables import MODELS, line, measure_tables  # late, for scikit-learn takes a second

    for row in measure_tables(names, ROOT / RUNS / TABLES, ROOT, seeds or 5, data_dir):
        print(line(row), flush=True)
        rows = {each["table"]: each for each in (*read_tables(ROOT / DATA), row)}
        entries = {name: asdict(entry) for name, entry in read(ROOT / DATA).items()}
        _write_data(entries, [rows[name] for name in MODELS if name in rows])
        write_page()


def _write_data(entries: Mapping[str, Any], tables: Sequence[Any]) -> None:
    data = dict(entries) | ({TABLES: list(tables)} if tables else {})
    write_atomic(ROOT / DATA, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode())


def write_page() -> None:
    """Write RESULTS.md from results.json and from the purposes and references in conf/experiment."""
    text = page(read(ROOT / DATA), choices()["experiment"], read_tables(ROOT / DATA))
    write_atomic(ROOT / PAGE, text.encode())


def command(name: str) -> list[str]:
    """The command that runs an experiment."""
    return ["python", "scripts/train.py", f"experiment={name}", *reference(name).overrides]


def train(name: str, seed: int, data_dir: str) -> bool:
    """Run an experiment's command in its own process and run directory; whether it succeeded."""
    words = [*command(name)[1:], f"seed={seed}", "threads=1", f"paths.data_dir={data_dir}"]
    print(" ".join(words), flush=True)
    words += [f"hydra.run.dir={RUNS / name / f'seed{seed}'}", "logger=none", "trainer.enable_progress_bar=false"]
    return subprocess.run([sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode == 0


def completed(run_dir: Path) -> StoredResult | None:
    """The result of a completed run, if there is one."""
    file = run_dir / "result.json"
    result = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"status": "missing"}
    return result if result["status"] == "completed" else None


def is_current(result: StoredResult) -> bool:
    """Whether code and configs are unchanged since the result's commit."""
    commit = result["git"]["commit"]
    if commit is None or result["git"]["dirty"]:
        return False
    words = ["git", "diff", "--quiet", commit, "--", "src", "conf", "scripts/train.py"]
    return subprocess.run(words, cwd=ROOT, check=False, capture_output=True).returncode == 0


def measure(name: str, results: Sequence[StoredResult]) -> Measurement:
    """Aggregate the results of an experiment's seeds."""
    metrics: dict[str, dict[str, float]] = {}
    for metric in reference(name).metrics:
        values = [result["metrics"][metric] for result in results if result["metrics"].get(metric) is not None]
        metrics[metric] = {"n": len(values)}
        if values:
            std = statistics.stdev(values) if len(values) > 1 else 0.0
            metrics[metric] = {"mean": statistics.fmean(values), "std": std, "n": len(values)}
    return Measurement(
        command=" ".join(command(name)),
        test_split=results[0].get("test_split", "test"),
        metrics=metrics,
        seconds=min(result["seconds_training"] for result in results),
        samples_per_second=max(result["samples_per_second"] for result in results),
        machines=sorted({describe_machine(result) for result in results}),
        commits=sorted({describe_commit(result) for result in results}),
    )


def describe_machine(result: StoredResult) -> str:
    """Hardware and versions of a run."""
    here = result["environment"]
    return (
        f"{here['device']} ({platform.machine()}, {here['cpus']} cores, {here['threads']} thread), "
        f"Python {here['python']}, torch {here['torch']}, lightning {here['lightning']}"
    )


def describe_commit(result: StoredResult) -> str:
    """The code of a run."""
    commit = result["git"]["commit"]
    return f"{commit[:7] if commit else 'none'}{' and changes' * bool(result['git'].get('dirty'))}"
