"""The benchmark of sweeps: all launchers run the same jobs, and the tables have their cost."""

import pytest

from litlab.benchmark import sweep as module
from litlab.benchmark.sweep import LAUNCHERS, SWEEPS, benchmark_sweeps, measure, show_sweeps
from litlab.errors import RunError


def test_the_script_knows_all_names(root):
    text = (root / "scripts" / "benchmark.py").read_text("utf-8")
    assert f"SWEEPS = {(*SWEEPS, 'members')}".replace("'", '"') in text
    assert f"LAUNCHERS = {tuple(LAUNCHERS)}".replace("'", '"') in text


def test_costs_are_compared_by_job_with_the_first_row_of_a_sweep(capsys):
    report = {
        "rounds": 1,
        "environment": {"cpu": "abacus", "cpus": 1, "load_average": 0.0, "threads": 1, "torch": "2"},
        "sweeps": [
            {"sweep": "digits", "launcher": "basic", "jobs": 4, "seconds": 8.0, "cpu_seconds": 6.0},
            {"sweep": "digits", "launcher": "stacked", "jobs": 4, "seconds": 2.0, "cpu_seconds": 1.0},
            {"sweep": "tiny", "launcher": "basic", "jobs": 4, "seconds": 3.0, "cpu_seconds": 3.0},
        ],
        "members": [
            {"members": 1, "jobs": 1, "seconds": 1.0, "cpu_seconds": 1.0},
            {"members": 4, "jobs": 4, "seconds": 2.0, "cpu_seconds": 1.0},
        ],
    }
    show_sweeps(report)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["digits", "stacked", "4", "1.0", "0.250", "2.0", "6.00", "4.00"] in lines
    assert ["tiny", "basic", "4", "3.0", "0.750", "3.0", "1.00", "1.00"] in lines
    assert ["4", "4", "1.0", "0.250", "2.0", "4.00", "2.00"] in lines


@pytest.mark.slow
def test_each_launcher_runs_all_jobs_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "RATES", (0.05, 0.1))
    monkeypatch.setattr(module, "MEMBERS", (2,))
    short = ("trainer.max_epochs=1", "model.hidden_sizes=[8]")
    report = benchmark_sweeps(["digits", "members"], ["basic", "stacked"], log_dir=tmp_path, overrides=short)
    assert [(each["launcher"], each["jobs"]) for each in report["sweeps"]] == [("basic", 2), ("stacked", 2)]
    assert [(each["members"], each["jobs"]) for each in report["members"]] == [(2, 2)]
    assert all(each["seconds"] > 0 and each["cpu_seconds"] > 0 for each in report["sweeps"] + report["members"])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RunError, match="jobs failed"):
        measure(["data=digits", "model=mlp", "optimizer.lr=0.1,1e30", *short], tmp_path)
