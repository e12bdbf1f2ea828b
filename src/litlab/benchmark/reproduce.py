"""Experiments over several seeds: measurements in results.json, and the page RESULTS.md."""

import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from litlab.config.choices import CONF, choices
from litlab.errors import RequestError, RunError
from litlab.files import write_atomic
from litlab.runs.result import StoredResult, test_note

ROOT = CONF.parent
RUNS = Path("logs/reproduce")
DATA, PAGE = "results.json", "RESULTS.md"
TABLES = "tables"  # in results.json, besides the experiments

HEAD = """\
# Results

Written by `python scripts/reproduce.py`, which runs each command below once per seed, each run in its own process.
Ours is the mean ± the standard deviation over n seeds, from 0. Seconds (of training, without start-up) and samples/s
are those of the fastest run, because the others shared the machine. The documents 000 to 004 are the five Korean
tutorials that litlab starts from; a reference is what one of them shows, or a goal. A row's runs are of the code of its
commits; `python scripts/reproduce.py EXPERIMENT` measures it on the current one.

| experiment | metric | reference | ours | n | seconds | samples/s | commit |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Reference:
    """The `reference` block of an experiment: the numbers of its document or a publication."""

    metrics: dict[str, str]  # name in result.json: reference
    source: str
    seeds: int = 5
    neighbours: str = ""  # published numbers to compare ours with
    overrides: tuple[str, ...] = ()  # of the command, to shorten a long experiment
    remark: str = ""  # what the numbers do not say by themselves


@dataclass(frozen=True)
class Measurement:
    """The measurement of an experiment: its entry in results.json."""

    command: str
    test_split: str  # test, or train where the test is on the training split
    metrics: dict[str, dict[str, float]]  # mean, std and n of each; only n = 0 if no run has it
    seconds: float  # of training, of the fastest run
    samples_per_second: float  # of the fastest run
    machines: list[str]
    commits: list[str]


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


def read_tables(file: Path) -> list[dict[str, Any]]:
    """The rows of the tables in results.json; empty without any."""
    return json.loads(file.read_text(encoding="utf-8")).get(TABLES, []) if file.is_file() else []


def _write_data(entries: Mapping[str, Any], tables: Sequence[Any]) -> None:
    data = dict(entries) | ({TABLES: list(tables)} if tables else {})
    write_atomic(ROOT / DATA, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode())


def write_page() -> None:
    """Write RESULTS.md from results.json and from the purposes and references in conf/experiment."""
    text = page(read(ROOT / DATA), choices()["experiment"], read_tables(ROOT / DATA))
    write_atomic(ROOT / PAGE, text.encode())


def reference(name: str) -> Reference:
    """The reference of an experiment."""
    settings: Any = OmegaConf.to_container(OmegaConf.load(CONF / "experiment" / f"{name}.yaml"))
    return Reference(**settings.get("reference", {"metrics": {}, "source": ""}))


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


def read(file: Path) -> dict[str, Measurement]:
    """The measurements in results.json by experiment; empty without the file."""
    data = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {name: Measurement(**entry) for name, entry in data.items() if name != TABLES}


def page(measurements: Mapping[str, Measurement], known: Mapping[str, str], tables: Sequence[Any] = ()) -> str:
    """RESULTS.md, with the measurements of the `known` experiments, given with their purposes, and of tables."""
    from litlab.benchmark.tables import section  # late, for scikit-learn takes a second

    rows, notes, machines = [], [], set[str]()
    for name, purpose in known.items():
        if name in measurements:
            ours, its = measurements[name], reference(name)
            rows += [row(name, metric, ours, its) for metric in ours.metrics]
            texts = (its.source, its.neighbours, its.remark)
            notes += [f"- `{ours.command}`: {purpose}", *(f"  {text}" for text in texts if text)]
            machines |= set(ours.machines)
    hardware = [f"- {each}" for each in sorted(machines)]
    return HEAD + "\n".join(
        [*rows, "", *section(tables), "## Commands and sources", "", *notes, "", "## Machine", "", *hardware, ""]
    )


def row(name: str, metric: str, ours: Measurement, its: Reference) -> str:
    """A metric's row in the table."""
    note = test_note(ours.test_split) if metric.startswith("test/") else ""
    spread = ours.metrics[metric]
    shown = f"{spread['mean']:.5g} ± {spread['std']:.2g}" if spread["n"] else "-"
    speed = f"{ours.seconds:.1f} | {ours.samples_per_second:,.0f} | {', '.join(ours.commits)}"
    return f"| {name} | {metric}{note} | {its.metrics.get(metric, '-')} | {shown} | {spread['n']} | {speed} |"


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
