"""Finished runs beside each other: what differs, what is best, whether it is chance, and what is refused."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sweep_results import failed, job, save

from litlab.config.composition import compose
from litlab.errors import RequestError
from litlab.sweeps.comparison import print_comparison
from litlab.verbs.compare import compare

LR = "optimizer.lr"
A, B = [0.90, 0.92, 0.91, 0.95], [0.89, 0.90, 0.90, 0.93]


def table(words):
    """compare.md's table: the header, and the cells of each line by its name."""
    compared, folder = compare(words)
    lines = [line for line in (folder / "compare.md").read_text().splitlines() if line.startswith("|")]
    header, _, *cells = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in lines)
    return compared, folder, header, {name: values for name, *values in cells}


@pytest.fixture(scope="module")
def settings():
    return compose("train", [])


@pytest.fixture
def runs(tmp_path, monkeypatch, settings):
    """Write results below a folder of runs; the words that name them. Nothing is drawn, which takes long."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("litlab.verbs.compare.compose", lambda *_: settings)
    monkeypatch.setattr("litlab.plots.canvas.pixels", lambda figure: np.zeros((2, 2, 3), "uint8"))

    def written(*results, folder="runs"):
        save(tmp_path / folder, results)
        for number, result in enumerate(results):
            best = result.get("monitor", {}).get("best", 0)
            rows = [f"{epoch},{best - 0.1 / epoch},{1 / epoch}" for epoch in (1, 2, 3)]
            history = "\n".join(["epoch,val/accuracy,train/loss", *rows])
            (tmp_path / folder / str(number) / "history.csv").write_text(history)
        return [f"{folder}/{number}" for number in range(len(results))]

    return written


def two(**more):
    metrics = {"val/accuracy": 0.9, "val/loss": 0.3, "test/accuracy": 0.85, "train/loss": 0.1}
    other = {"val/accuracy": 0.8, "val/loss": 0.2, "test/accuracy": 0.95, "train/loss": 0.2}
    return (
        job({LR: 0.1}, 0.9, metrics=metrics, parameters=650, seconds_training=1.5),
        job({LR: 0.2, "model": "cnn"}, 0.8, metrics=other, parameters=1234, **more),
    )


def test_two_runs(runs, capsys):
    """Only what differs; the best by validation is marked, also where the test would choose the other."""
    compared, folder, header, lines = table(runs(*two()))
    assert header == ["", "1", "2"]
    assert lines == {
        "optimizer.lr": ["0.1", "0.2"],
        "model": ["mlp", "cnn"],
        "val/accuracy": ["0.9000 *", "0.8000"],
        "val/loss": ["0.3000", "0.2000 *"],
        "test/accuracy": ["0.8500 *", "0.9500"],
        "train/loss": ["0.1000", "0.2000"],
        "train s": ["1.5", "4.0"],
        "parameters": ["650", "1,234"],
    }
    text = (folder / "compare.md").read_text()
    assert "Too few runs to tell whether the difference is chance: train 3 seeds of each" in text
    assert folder.parent.as_posix() == "logs/compare" and {each.name for each in folder.iterdir()} == {
        "compare.md", "compare.csv", "curves.png"
    }  # fmt: skip
    rows = list(csv.DictReader((folder / "compare.csv").read_text().splitlines()))
    assert [(row["run_dir"], row["val/accuracy"], row["parameters"]) for row in rows] == [
        ("runs/0", "0.9", "650"), ("runs/1", "0.8", "1234")
    ]  # fmt: skip
    print_comparison(compared, folder)
    said = capsys.readouterr().out
    assert "1: runs/0\n2: runs/1\n" in said and "0.9000 *" in said and "compare.md" in said


def test_the_curves_of_all_are_in_one_picture(runs):
    compared, folder = compare(runs(*two()))
    accuracy, loss, legend = compared.picture().axes
    assert [axes.get_ylabel() for axes in (accuracy, loss)] == ["val/accuracy", "train/loss"]
    thick = [line for line in accuracy.lines if line.get_linewidth() == 2]
    drawn = np.array([line.get_ydata() for line in thick[::-1]])
    assert drawn == pytest.approx(np.array([[0.8, 0.85, 0.9 - 0.1 / 3], [0.7, 0.75, 0.8 - 0.1 / 3]]))
    names = [text.get_text() for text in legend.get_legend().get_texts()]
    assert names == ["1: lr=0.1, model=mlp", "2: lr=0.2, model=cnn"]
    assert Image.open(folder / "curves.png").size == (2, 2)


def test_seeds_are_one_column_and_compared_pair_by_pair(runs):
    jobs = [job({LR: lr}, best, seed=s) for lr, values in ((1, B), (2, A)) for s, best in enumerate(values)]
    _, folder, header, lines = table(runs(*jobs))
    assert header == ["", "1", "2"] and lines[LR] == ["1", "2"] and "seed" not in lines
    assert (
        "By val/accuracy, setting 2 beats setting 1 by 0.015 (95% interval 0.0058 to 0.024, paired over 4 seeds)"
        in (folder / "compare.md").read_text()
    )
    apart = [f"runs/{number}" for number in (0, 1, 2, 5, 6, 7)]  # seeds 0, 1, 2 and 1, 2, 3
    _, folder, _, lines = table(apart)
    assert lines["seed"] == ["0, 1, 2", "1, 2, 3"]
    text = (folder / "compare.md").read_text()
    assert "setting 1 may be as good: setting 2 leads by 0.03 (95% interval" in text and "the seeds differ" in text


def test_runs_of_one_setting_are_beside_each_other(runs):
    words = runs(*(job({LR: 1}, best, seed=s) for s, best in enumerate((0.9, 0.8))), job({LR: 1}, 0.9, seed=0))
    assert table(words[:2])[3]["seed"] == ["0", "1"]
    compared, _, _, lines = table(words[::2])  # the same command twice
    assert len(compared.rows) == 2 and lines["val/accuracy"] == ["0.9000", "0.9000"]
    assert set(lines) == {"val/accuracy", "test/accuracy", "train/loss", "train s", "parameters"}


def test_a_sweep_means_its_winner_with_all_seeds(runs, tmp_path):
    sweep = [job({LR: lr}, lr / 10 + s / 100, seed=s) for lr in (1, 2) for s in range(3)]
    runs(*sweep, folder="logs/train/multiruns/one")
    (tmp_path / "logs/train/multiruns/one/multirun.yaml").touch()
    (other,) = runs(job({LR: 5}, 0.5), folder="logs/train/runs")
    compared, *_ = table(["logs/train/multiruns/one", other])
    assert [(row.values[0], row.n) for row in compared.rows] == [(2, 3), (5, 1)]
    compared, *_ = table(["logs/train/multiruns/one/0", "last"])
    assert [row.n for row in compared.rows] == [1, 1]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_run_that_repeats_a_seed_of_a_sweeps_winner_is_beside_it(runs, tmp_path, is_first):
    """And one with another seed joins it."""
    runs(*(job({LR: lr}, lr / 10 + s / 100, seed=s) for lr in (1, 2) for s in range(3)), folder="sweep")
    (tmp_path / "sweep/multirun.yaml").touch()
    (again,) = runs(job({LR: 2}, 0.25, seed=1), folder="logs/a")
    (more,) = runs(job({LR: 2}, 0.75, seed=3), folder="logs/b")
    compared, *_ = table([again, "sweep"] if is_first else ["sweep", again])
    assert [row.n for row in compared.rows] == ([1, 3] if is_first else [3, 1])
    compared, *_ = table(["sweep", again, more])
    assert [[job.value("seed") for job in row.jobs] for row in compared.rows] == [[0, 1, 2, 3], [1]]


def test_many_runs_are_lines(runs):
    words = runs(*(job({LR: n / 10}, n / 100) for n in range(1, 20)), failed({LR: 9.0}))
    compared, _, header, lines = table(words)
    assert len(compared.rows) == 20 and header[:3] == ["", LR, "val/accuracy"] and header[-1] == "status"
    assert lines["20"][0] == "9" and lines["20"][-1] == "failed: RunError: diverged" and lines["1"][-1] == "completed"
    assert len(compared.picture().axes[-1].get_legend().get_texts()) == 20
    styles = {(line.get_color(), line.get_linestyle()) for line in compared.picture().axes[0].lines}
    assert len({style for style in styles}) >= 20


def test_names_are_inert(runs, capsys):
    hostile = "=cmd()|<img src=x>[red]\x1b[31m"
    _, folder, *_ = (compared := table(runs(job({LR: 1}), job({LR: hostile, "model": hostile}, 0.5))))
    print_comparison(compared[0], folder)
    text, said = (folder / "compare.md").read_text(), capsys.readouterr().out
    assert "\x1b" not in text + said + (folder / "compare.csv").read_text() and "<img" not in text
    assert "[red]" in said and ",=cmd" not in (folder / "compare.csv").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["runs/0"], "runs/0: is all there is; name two or more, such as logs/train/runs/DATE_TIME; a sweep means its"),
        (["runs/0", "runs/0/"], "runs/0: is all there is; name two or more"),
        (["to=x"], "no run is named; name two or more"),
        (["runs/0", "nowhere"], "nowhere: there is no such directory; name a run's, such as logs/train/runs/DATE_TIME"),
        (["runs/0", "runs"], "runs: is no run's directory, it has no result.json; name one"),
        (["runs/0", "last"], "last: there is no run in logs; train one, or set paths.log_dir"),
        (["runs/0", "runs/2"], "runs/2: its result.json cannot be read (status: must be"),
        (["runs/0", "runs/1", "to=runs/0"], "to=runs/0: cannot be made (File exists); name a folder that does not"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(runs, tmp_path, words, message):
    runs(*two())
    (tmp_path / "runs/2").mkdir()
    (tmp_path / "runs/2/result.json").write_text(json.dumps({"status": "fine"}))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RequestError) as error:
        compare(words)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_the_script(root, runs, tmp_path):
    """As the README has it."""
    runs(*two(), folder="logs/train/runs")
    script = f"{sys.executable} {root / 'scripts/compare.py'}"
    done = subprocess.run(f"{script} logs/train/runs/*", shell=True, capture_output=True, text=True)
    assert done.returncode == 0 and "comparison: logs/compare/" in done.stdout, done.stderr
    folder = next((tmp_path / "logs/compare").iterdir())
    done = subprocess.run(f"{script} logs/train/runs/* to={folder}", shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith(f"error: to={folder}: cannot be made")


def test_runs_of_different_data_are_not_ranked(runs):
    one, other = two()
    words = runs(one, job({LR: 0.2, "data": "mnist"}, 0.8, metrics=other["metrics"]))
    compared, _, _, cells = table(words)
    assert cells["val/accuracy"] == ["0.9000", "0.8000"] and not any(
        "*" in cell for line in cells.values() for cell in line
    )
    assert list(compared.sentences()) == ["the runs are of different data: their metrics do not rank them"]
