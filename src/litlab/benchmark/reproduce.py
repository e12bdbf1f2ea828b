"""Every experiment over several seeds, and RESULTS.md from what they left."""

import json
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from litlab.config.choices import CONF, choices, purpose
from litlab.errors import RequestError, RunError
from litlab.files import write_whole
from litlab.runs.result import StoredResult, test_note

ROOT = CONF.parent
RUNS = Path("logs/reproduce")


@dataclass(frozen=True)
class Reference:
    """The `reference` block of an experiment: what its document or a publication shows, and where."""

    metrics: dict[str, str]  # of result.json, and what the reference gives for it
    source: str
    seeds: int = 5
    neighbours: str = ""  # published numbers to stand beside ours
    overrides: tuple[str, ...] = ()  # of the command, where the experiment as it is takes too much


def reproduce(experiments: Sequence[str], seeds: int | None, jobs: int, again: bool, data_dir: str) -> None:
    """Measure `experiments` (none: all), and give them their rows in RESULTS.md; what it has of others stays.

    What the present code and configs have measured already is not run once more, unless `again`.

    Raises:
        RequestError: there is no such experiment, or a number is none.
        RunError: a run failed; its experiment keeps the rows that it has.
    """
    known = list(choices()["experiment"])
    for name in experiments:
        if name not in known:
            raise RequestError(f"experiment={name}: there is no such; choose from {', '.join(known)}")
    for option, number in (("--seeds", seeds), ("--jobs", jobs)):
        if number is not None and number < 1:
            raise RequestError(f"{option} {number}: must be a whole number from 1")
    asked = list(dict.fromkeys(experiments or known))
    runs = [
        (name, seed)
        for name in asked
        for seed in range(seeds or reference(name).seeds)
        if again or (result := measured(name, seed)) is None or not is_present(result)
    ]
    with ThreadPoolExecutor(jobs) as pool:
        trained = list(pool.map(lambda run: train(run[0], run[1], data_dir), runs))
    failed = [run for run, well in zip(runs, trained, strict=True) if not well]
    page, lost = ROOT / "RESULTS.md", {name for name, _ in failed}
    before = page.read_text(encoding="utf-8") if page.is_file() else ""
    write_whole(page, results_page(known, [name for name in asked if name not in lost], before).encode())
    if failed:
        what = f"failed; RESULTS.md keeps what it had of it; see {RUNS}"
        raise RunError("\n".join(f"experiment={name} seed={seed}: {what}/{name}/seed{seed}" for name, seed in failed))


def reference(name: str) -> Reference:
    """Of an experiment."""
    settings: Any = OmegaConf.to_container(OmegaConf.load(CONF / "experiment" / f"{name}.yaml"))
    return Reference(**settings.get("reference", {"metrics": {}, "source": ""}))


def train(name: str, seed: int, data_dir: str) -> bool:
    """Whether one run went well: by the command that RESULTS.md shows, in a process and a run directory of its own."""
    command = [*command_of(name), f"seed={seed}", "threads=1", f"paths.data_dir={data_dir}"]
    print(" ".join(command[1:]), flush=True)
    command += [f"hydra.run.dir={RUNS / name / f'seed{seed}'}", "logger=none", "trainer.enable_progress_bar=false"]
    done = subprocess.run([sys.executable, *command[1:]], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def command_of(name: str) -> list[str]:
    """The words of the command that runs an experiment."""
    return ["python", "scripts/train.py", f"experiment={name}", *reference(name).overrides]


def measured(name: str, seed: int) -> StoredResult | None:
    """The completed result of an experiment and a seed, if there is one."""
    file = ROOT / RUNS / name / f"seed{seed}" / "result.json"
    result: StoredResult = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"status": "missing"}
    return result if result["status"] == "completed" else None


def is_present(result: StoredResult) -> bool:
    """Whether the code and the configs are still those of the commit that the result is from."""
    commit = result["git"]["commit"]
    if commit is None or result["git"]["dirty"]:
        return False
    command = ["git", "diff", "--quiet", commit, "--", "src", "conf", "scripts/train.py"]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode == 0


def results_page(names: Sequence[str], anew: Sequence[str], before: str) -> str:
    """RESULTS.md: of the experiments in `anew` what was measured here; of the other `names` what it said `before`."""
    head = [
        "# Results",
        "",
        "Written by `python scripts/reproduce.py`: each experiment by its command below, once per seed, in its own",
        "process. Ours is mean ± standard deviation over n seeds. Seconds (of training, start-up apart) and samples/s",
        "are those of the fastest run, because the others had less of the machine to themselves. The documents 000",
        "to 004 are the five tutorials that litlab starts from, in Korean; a reference is what one of them shows, or",
        "a goal.",
        "",
        "| experiment | metric | reference | ours | n | seconds | samples/s |",
        "|---|---|---|---|---|---|---|",
    ]
    rows: list[str] = []
    notes: list[str] = []
    hardware = set[str]()
    for name in names:
        found = [result for seed in range(100) if (result := measured(name, seed)) is not None] if name in anew else []
        if found:
            hardware |= {f"- {describe_machine(result)}" for result in found}
            rows += experiment_rows(name, reference(name), found)
            notes += [f"- `{' '.join(command_of(name))}`: {purpose(CONF / 'experiment' / f'{name}.yaml')}"]
            notes += [f"  {text}" for text in (reference(name).source, reference(name).neighbours) if text]
        elif old := re.findall(rf"^\| {name} \|.*", before, re.MULTILINE):
            hardware |= set(before.partition("## Machine\n")[2].split("\n")) - {""}  # it does not say which is whose
            rows += old
            notes += re.findall(rf"^- `[^`]* experiment={name}[` ].*(?:\n  .*)*", before, re.MULTILINE)
    tail = [
        "",
        "## Commands and sources",
        "",
        *notes,
        "",
        "## Machine",
        "",
        *sorted(hardware),
    ]
    return "\n".join([*head, *rows, *tail, ""])


def experiment_rows(name: str, reference: Reference, found: Sequence[StoredResult]) -> list[str]:
    """A row per metric that the reference names."""
    seconds = min(result["seconds_training"] for result in found)
    speed = max(result["samples_per_second"] for result in found)
    rows = []
    for metric, shown in reference.metrics.items():
        split = test_note(found[0].get("test_split")) if metric.startswith("test/") else ""
        values = [result["metrics"][metric] for result in found if result["metrics"].get(metric) is not None]
        rows.append(
            f"| {name} | {metric}{split} | {shown} | {spread(values)} | {len(values)} | {seconds:.1f} | {speed:,.0f} |"
        )
    return rows


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation with as many digits as they deserve."""
    if not values:
        return "-"
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    mean = statistics.fmean(values)
    return f"{mean:.5g} ± {deviation:.2g}"


def describe_machine(result: StoredResult) -> str:
    """Hardware and versions of a run."""
    here = result["environment"]
    return (
        f"{here['device']} ({platform.machine()}, {here['cpus']} cores, {here['threads']} thread), "
        f"Python {here['python']}, torch {here['torch']}, lightning {here['lightning']}, "
        f"commit {result['git']['commit']}"
    )
