"""The page RESULTS.md: measurements beside their references."""

from collections.abc import Mapping, Sequence
from typing import Any

from litlab.benchmark.measurements import Measurement, Reference, reference
from litlab.runs.result import test_note

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
