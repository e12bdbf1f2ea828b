"""sweep=halving: which settings go on at each rung, and that those that do end as if they had trained alone."""

import json
import math
import sys
import types

import pytest
from sweeping import Sweep

from litlab.sweeps.halving import survivors
from litlab.sweeps.job import Job
from litlab.sweeps.rungs import rungs


@pytest.mark.parametrize(
    ("first", "eta", "epochs", "expected"),
    [(1, 3, 27, [1, 3, 9, 27]), (1, 3, 8, [1, 3, 8]), (2, 2, 8, [2, 4, 8]), (9, 3, 8, [8]), (1, 3, 1, [1])],
)
def test_rungs(first, eta, epochs, expected):
    assert rungs(first, eta, epochs) == expected


@pytest.fixture
def settings(tmp_path):
    """The jobs of settings, by their validation accuracies at the epochs, per seed."""

    def made(*curves, losses=None):
        found = []
        for number, seeds in enumerate(curves):
            jobs = []
            for seed, curve in enumerate(seeds):
                folder = tmp_path / f"{number}_{seed}"
                folder.mkdir()
                loss = losses[number] if losses else 1.0
                lines = [f"{epoch},{value},{loss}" for epoch, value in enumerate(curve, 1)]
                (folder / "history.csv").write_text("\n".join(["epoch,val/accuracy,val/loss", *lines]))
                jobs.append(Job([], folder=folder, result={"status": "pruned", "epochs": len(curve)}))
            found.append(jobs)
        return found

    return made


def chosen(settings, until, eta, mode="max"):
    """The indices of the settings that go on."""
    kept = survivors(settings, until, eta, "val/accuracy", mode)
    return [number for number, jobs in enumerate(settings) if set(jobs) <= set(kept)]


def test_the_best_by_the_value_at_the_rung_go_on(settings):
    """Not by the best epoch so far (0), nor by what came after the rung (1)."""
    four = settings([[0.9, 0.5, 0.6]], [[0.1, 0.2, 0.99]], [[0.3, 0.8]], [[0.2, 0.7]])
    assert chosen(four, 2, 4) == [2] and chosen(four, 2, 3) == [2, 3] and chosen(four, 2, 2) == [2, 3]
    assert chosen(four, 2, 3, mode="min") == [0, 1]
    assert chosen(four, 1, 2) == [0, 2]


def test_seeds_count_by_their_mean_and_ties_by_the_loss(settings):
    assert chosen(settings([[0.9], [0.1]], [[0.6], [0.6]], [[0.5], [0.8]]), 1, 3) == [2]


def test_ties_are_broken_by_the_loss(settings):
    assert chosen(settings([[0.5]], [[0.5]], [[0.5]], losses=[0.3, 0.1, math.nan]), 1, 3) == [1]


def test_a_setting_without_a_value_of_each_seed_does_not_go_on(settings):
    three = settings([[0.9], [math.nan]], [[0.8], [0.8]], [[0.2], [0.2]])
    three[1][0].result["status"] = "failed"
    assert chosen(three, 1, 3) == [2] and chosen(three, 1, 2) == [2]
    three[2][1].result["status"] = "failed"
    assert survivors(three, 1, 3, "val/accuracy", "max") == []


@pytest.fixture
def slow_learner(monkeypatch):
    """In the place of litlab.verbs.train.train: the accuracy grows by the rate at each epoch, up to 1 at a rate of 0.1.

    It ends at sweep.pause, and goes on from its own last.ckpt. Attributes: the epochs that were trained, by rate.
    """
    trained: dict[float, list[int]] = {}

    def train(config, result):
        from pathlib import Path

        from litlab.errors import Pruned, RunError
        from litlab.runs.result import Monitor

        here, rate, epochs = Path(config.paths.run_dir), config.optimizer.lr, config.trainer.max_epochs
        if rate >= 1e6:
            raise RunError("the loss is nan")
        file = Path(config.resume or here) / "checkpoints" / "last.ckpt"
        curve = json.loads(file.read_text()) if file.exists() else []
        while len(curve) < min(config.sweep.pause or epochs, epochs):
            if rate == config.get("reference") and len(curve) == 3:
                raise RunError("the loss is nan")
            curve.append(min(1.0, rate * (len(curve) + 1)))
            trained.setdefault(rate, []).append(len(curve))
        (here / "checkpoints").mkdir(exist_ok=True)
        (here / "checkpoints" / "last.ckpt").write_text(json.dumps(curve))
        lines = [f"{epoch},{value}" for epoch, value in enumerate(curve, 1)]
        (here / "history.csv").write_text("\n".join(["epoch,val/accuracy", *lines]))
        result.update(epochs=len(curve), metrics={"val/accuracy": curve[-1]}, seconds_training=1.0)
        result.monitor = Monitor("val/accuracy", "max", max(curve), len(curve))
        if len(curve) < epochs:
            raise Pruned(f"after epoch {len(curve)}")

    module = types.ModuleType("litlab.verbs.train")
    module.train = train  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "litlab.verbs.train", module)
    monkeypatch.setattr("litlab.sweeps.summary.pictures", lambda board: {})
    return trained


RATES = "optimizer.lr=0.01,0.02,0.03,0.04,0.05,0.06,0.07,0.08,0.09"
WORDS = ("sweep.eta=3", "trainer.max_epochs=5", RATES)


@pytest.fixture
def results(tmp_path):
    """Status and epochs of each folder."""

    def read():
        files = (tmp_path / "logs" / "train" / "multiruns").glob("*/*/result.json")
        found = {file.parent.name: json.loads(file.read_text()) for file in files}
        return {name: (each["status"], each.get("epochs")) for name, each in found.items()}

    return read


@pytest.mark.slow
def test_a_third_goes_on_in_its_own_folder(command, slow_learner, results):
    code, out, err = command("-m", *WORDS)
    assert (code, err) == (0, "")
    assert {rate: epochs for rate, epochs in slow_learner.items()} == {
        **{rate / 100: [1] for rate in range(1, 7)}, 0.07: [1, 2, 3], 0.08: [1, 2, 3], 0.09: [1, 2, 3, 4, 5],
    }  # fmt: skip
    assert results() == {
        **{f"{number}_lr=0.0{number}": ("pruned", 1) for number in range(1, 7)},
        "7_lr=0.07": ("pruned", 3), "8_lr=0.08": ("pruned", 3), "9_lr=0.09": ("completed", 5),
    }  # fmt: skip
    lines = out.splitlines()
    assert "epoch 1 of 5: 3 of 9 settings go on" in lines and "epoch 3 of 5: 1 of 3 settings go on" in lines
    assert "rung 1 of 3: 1/9  lr=0.01  val/accuracy 0.0100  pruned: after epoch 1" in lines
    assert [line[:25] for line in lines if line.startswith(("rung 2", "rung 3"))] == [
        "rung 2 of 3: 1/3  lr=0.07", "rung 2 of 3: 2/3  lr=0.08", "rung 2 of 3: 3/3  lr=0.09",
        "rung 3 of 3: 1/1  lr=0.09",
    ]  # fmt: skip
    assert "jobs: 1 completed, 8 pruned." in out and "the winner: python scripts/train.py" in out


@pytest.mark.slow
def test_failed_jobs_drop_out_and_seeds_go_on_together(command, slow_learner, results):
    words = ("sweep.eta=2", "sweep.rung=2", "trainer.max_epochs=4", "optimizer.lr=0.01,0.02,1e6,0.04", "seed=0,1")
    code, _, err = command("-m", *words)
    assert code == 1 and err.startswith("error: 2 of 8 jobs failed")
    status = {name.partition("_")[2]: each for name, each in results().items()}
    assert status["lr=0.04,seed=0"] == status["lr=0.04,seed=1"] == status["lr=0.02,seed=1"] == ("completed", 4)
    assert status["lr=0.01,seed=0"] == ("pruned", 2) and status["lr=1000000.0,seed=0"][0] == "failed"


@pytest.mark.slow
def test_in_place_of_the_last_that_failed_the_next_one_goes_on(command, slow_learner, results):
    code, out, err = command("-m", *WORDS, "reference=0.09")
    assert code == 1 and err.startswith("error: 1 of 9 jobs failed")
    assert "all that went on have failed: 1 more go on" in out
    assert results()["9_lr=0.09"][0] == "failed" and results()["8_lr=0.08"] == ("completed", 5)
    assert slow_learner[0.08] == [1, 2, 3, 4, 5] and slow_learner[0.07] == [1, 2, 3]


@pytest.mark.slow
def test_a_stopped_halving_goes_on_where_it_was(command, slow_learner, results, tmp_path, monkeypatch):
    def stopped(folder, minutes):
        if sum(map(len, slow_learner.values())) >= 11:  # in the second rung: one of three has trained
            (folder / ".stop").write_text("sweep.minutes")

    with monkeypatch.context() as patch:
        patch.setattr("litlab.sweeps.worker.enforce_time_limit", stopped)
        code, out, _ = command("-m", *WORDS, "sweep.minutes=1")
    (folder,) = (tmp_path / "logs" / "train" / "multiruns").iterdir()
    assert code == 0 and "2 jobs wait; the same command with sweep.resume=" in out
    assert sorted(slow_learner[rate] for rate in (0.07, 0.08, 0.09)) == [[1], [1], [1, 2, 3]]
    code, out, _ = command("-m", *WORDS, f"sweep.resume={folder}")
    assert code == 0 and "9 of 9 jobs are already pruned" in out
    assert slow_learner[0.09] == [1, 2, 3, 4, 5] and slow_learner[0.07] == slow_learner[0.08] == [1, 2, 3]
    assert len(results()) == 9 and results()["9_lr=0.09"] == ("completed", 5)
    # Without halving, what was pruned goes on to its end, in a new folder.
    code, out, _ = command("-m", *WORDS[1:], f"sweep.resume={folder}")
    assert code == 0 and all(epochs == [1, 2, 3, 4, 5] for epochs in slow_learner.values()), slow_learner
    assert "jobs: 9 completed." in out


@pytest.mark.slow
def test_what_cannot_be_halved_is_refused_in_one_line(command, slow_learner):
    for words, message in {
        ("trainer.max_epochs=2,4",): "sweep.eta=3: needs the same trainer.max_epochs, such as 9, for all jobs",
        ("task.monitor=train/loss", "seed=0,1"): "sweep.eta=3: no job has train/loss after epoch 1, and the best are",
        (
            "sweep.prune=median",
            "seed=0,1",
        ): "sweep.prune=median: is for sweep=optuna; for others there is sweep=halving",
        ("callbacks=none", "seed=0,1"): "sweep.eta=3: goes on from last.ckpt, which callbacks.last saves; keep that",
        (
            "hydra/launcher=joblib",
            "sweep.stack=4",
            "seed=0,1",
        ): "sweep.eta=3 with sweep.stack=4: a stack passes the rungs in the sweep's own process; set",
        ("sweep.stack=0", "seed=0,1"): "sweep.stack=0: must be",
        ("sweep.eta=1", "seed=0,1"): "sweep.eta=1: must be a whole number from 2, such as 3",
    }.items():
        code, _, err = command("-m", "sweep.eta=3", *words)
        assert code == 2 and err.startswith(f"error: {message}") and len(err.splitlines()) == 1, err


@pytest.mark.slow
def test_a_survivor_has_the_weights_of_a_run_alone(tmp_path, same_weights):
    """Under onecycle, whose rate depends on the length of the run; in two processes, and with dropout."""
    import torch

    words = ("model=mlp", "model.dropout=0.2", "trainer.max_epochs=4", "threads=1", "data.batch_size=256")
    rates, workers = "optimizer.lr=0.01,0.1,0.0001", ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    halved = Sweep(tmp_path / "halved", *words, rates, "sweep.eta=2", *workers).end()
    alone = Sweep(tmp_path / "alone", *words, "optimizer.lr=0.1").end()
    assert halved.process.returncode == alone.process.returncode == 0, halved.text
    by_rate = {each["settings"]["optimizer"]["lr"]: each for each in halved.results}
    assert {rate: (each["status"], each["epochs"]) for rate, each in by_rate.items()} == {
        0.1: ("completed", 4), 0.01: ("pruned", 2), 0.0001: ("pruned", 1),
    }  # fmt: skip
    (one,), (other,) = halved.folder.glob("*_lr=0.1"), (each.parent for each in alone.folder.glob("*/result.json"))
    for name in ("best", "last"):
        first, second = (
            torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True) for folder in (one, other)
        )
        assert same_weights(first["state_dict"], second["state_dict"]), name
    assert (one / "history.csv").read_text() == (other / "history.csv").read_text()
    assert by_rate[0.1]["metrics"] == alone.results[0]["metrics"]
    assert "test/accuracy" not in by_rate[0.01]["metrics"] and by_rate[0.01]["error"] == "after epoch 2"


@pytest.mark.slow
def test_halving_within_stacks_ends_as_trainings_alone(tmp_path):
    """Two stacks, as the batch size parts them; a member that drops out or goes on is as a run alone."""
    import torch

    small = ("model=mlp", "model.hidden_sizes=[8]", "model.dropout=0.2", "trainer.precision=64-true", "threads=1")
    words = (*small, "trainer.max_epochs=4", "data.batch_size=256,512", "optimizer.lr=0.3,0.1,0.00001")
    stacked = Sweep(tmp_path / "stacked", *words, "sweep.eta=2", "hydra/launcher=stacked").end()
    whole = Sweep(tmp_path / "whole", *words).end()
    assert stacked.process.returncode == 0 and "one by one" not in stacked.text, stacked.text
    assert sorted(each["epochs"] for each in stacked.results) == [1, 1, 1, 2, 4, 4]
    assert {each["status"] for each in stacked.results if each["epochs"] < 4} == {"pruned"}
    assert all(each["stacked"] == 3 for each in stacked.results)
    for folder in stacked.folder.glob("*/checkpoints"):
        result = json.loads((folder.parent / "result.json").read_text())
        curve, alone = (
            (base / folder.parent.name / "history.csv").read_text().splitlines()[: result["epochs"] + 1]
            for base in (stacked.folder, whole.folder)
        )
        assert len(curve) == result["epochs"] + 1
        for line, other in zip(curve[1:], alone[1:], strict=True):
            assert [float(cell) for cell in line.split(",")] == pytest.approx(
                [float(cell) for cell in other.split(",")]
            )
        if result["status"] == "completed":
            one, two = (
                torch.load(base / folder.parent.name / "checkpoints" / "last.ckpt", weights_only=True)
                for base in (stacked.folder, whole.folder)
            )
            for name, weight in one["state_dict"].items():
                torch.testing.assert_close(weight, two["state_dict"][name], rtol=0, atol=1e-10)
            buffers = (
                [state["momentum_buffer"] for state in each["optimizer_states"][0]["state"].values()]
                for each in (one, two)
            )
            for first, second in zip(*buffers, strict=True):
                torch.testing.assert_close(first, second, rtol=0, atol=1e-10)


@pytest.mark.slow
def test_out_of_memory_halves_in_smaller_stacks(compose, monkeypatch, capsys):
    import torch
    from omegaconf import OmegaConf

    from litlab.sweeps.stacks import halving

    rates = (0.1, 0.00001, 0.3, 0.0001)
    configs = [compose("data=digits", "model.hidden_sizes=[8]", f"optimizer.lr={rate}") for rate in rates]
    jobs = [types.SimpleNamespace(settings={}, setting=str(rate)) for rate in rates]
    options = OmegaConf.create({"sweep": {"stack": 8, "rung": 1, "eta": 2}})

    def halved():
        return halving.HalvingStack(options, jobs, configs).train(0)

    whole = halved()
    assert capsys.readouterr().out == ""

    class Limited(halving.StackedTraining):
        most = 2

        def run(self, until=None):
            if len(self.sorted) > self.most:
                raise MemoryError
            return super().run(until)

    monkeypatch.setattr(halving, "StackedTraining", Limited)
    parts = halved()
    assert capsys.readouterr().out == "out of memory: 2 instead of 4 jobs are trained at once\n"
    assert [len(each.epochs) for each in parts] == [len(each.epochs) for each in whole] == [2, 1, 2, 1]
    assert [each.stacked for each in parts] == [2] * 4
    for one, other in zip(parts, whole, strict=True):
        for epoch, expected in zip(one.epochs, other.epochs, strict=True):
            torch.testing.assert_close(epoch.losses, expected.losses)
    monkeypatch.setattr(Limited, "most", 0)
    assert halved() == [None] * 4
    assert capsys.readouterr().out.splitlines()[1:] == [
        "out of memory: 1 instead of 2 jobs are trained at once",
        "4 jobs are trained one by one, rung by rung: out of memory",
    ]


@pytest.mark.slow
def test_what_cannot_be_stacked_is_halved_one_by_one(tmp_path):
    words = ("trainer.max_epochs=2", "data.batch_size=512", "optimizer=adam", "optimizer.lr=0.01,0.00001")
    words += ("+optimizer.amsgrad=true",)
    done = Sweep(tmp_path, *words, "sweep.eta=2", "hydra/launcher=stacked", "threads=1").end()
    assert done.process.returncode == 0, done.text
    assert "2 jobs are trained one by one, rung by rung: optimizer.amsgrad has no update for a stack" in done.text
    assert [(each["status"], each["epochs"]) for each in done.results] == [("completed", 2), ("pruned", 1)]
