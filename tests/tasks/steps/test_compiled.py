"""The compiled step does what the eager one does. Compiling takes 5 to 30 seconds, so most of this is slow."""

import csv
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from litlab.tasks.steps import compiled
from litlab.tasks.steps.compiled import Compilation, CompiledBackward, CompiledSteps
from litlab.tasks.steps.step import Part, Step

PLAIN = ("optimizer=sgd", "scheduler=none", "data.batch_size=256", "model.hidden_sizes=[16]")


@pytest.fixture
def uncompiled(monkeypatch):
    """torch.compile gives the function back as it is: the logic around it is tested in no time."""
    monkeypatch.setattr(compiled.torch, "compile", lambda function, **_: function)


def assert_close(one, other):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-6)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def test_gradients_add_up_and_buffers_move(uncompiled):
    def step(model, reported):
        def objective(outputs, targets):
            loss = F.cross_entropy(outputs, targets)
            return loss, reported * loss

        return Step(model, objective, torch.optim.SGD(model.parameters()), accumulate=2)

    ours, eager = step(network(), 3), step(network(), 1)
    compilation = Compilation()
    compiled = CompiledBackward(ours, compilation, ours.backward)
    part = Part(torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2]))
    for each in (part, part, part._replace(inputs=part.inputs[:2], targets=part.targets[:2], factor=0.5)):
        torch.testing.assert_close(compiled(each), 3 * eager.backward(each))  # what is reported, not what is minimized
    assert compilation.shape == (6, 4) and compilation.seconds > 0  # the second batch; the others ran eagerly
    for one, other in zip(ours.model.parameters(), eager.model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    assert_close(ours.model.state_dict(), eager.model.state_dict())  # running mean and variance
    assert int(ours.model[1].num_batches_tracked) == 3


@pytest.mark.parametrize(
    "overrides",
    [
        "",
        "scheduler=onecycle",
        "trainer.accumulate_grad_batches=2 trainer.gradient_clip_val=0.1",
        "optimizer=adamw",
        "data=exam_scores data.passes_per_epoch=9",  # standardized targets
        "data.batch_size=64",  # several steps in a graph
        "data.batch_size=64 trainer.max_steps=11",  # the end within a graph
        "data.batch_size=64 trainer.gradient_clip_val=0.1",
        "data.batch_size=64 scheduler=onecycle",  # a rate per step
        "data.batch_size=64 scheduler=onecycle scheduler.cycle_momentum=true",  # a momentum per step
    ],
)
def test_same_weights_names_and_rates_with_and_without(fit, uncompiled, overrides):
    def rates(run):
        """Those in the log; the settings and the scheduler's state at the end."""
        (file,) = Path(run.config.paths.run_dir).rglob("metrics.csv")
        with file.open() as lines:
            logged = [line["lr"] for line in csv.DictReader(lines) if line["lr"]]
        (group,) = run.trainer.optimizers[0].param_groups
        settings = {name: value for name, value in group.items() if name != "params"}
        return logged, settings, run.task.schedule and run.task.schedule.scheduler.state_dict()

    groups = {override.split("=")[0] for override in overrides.split()}
    overrides = (*overrides.split(), *(each for each in PLAIN if each.split("=")[0] not in groups))
    overrides = (*overrides, "logger=csv", "trainer.log_every_n_steps=3")
    eager = fit(*overrides, "task.compile=false")
    ours = fit(*overrides, "task.compile=true")
    assert_close(ours.weights, eager.weights)
    assert ours.metrics == pytest.approx(eager.metrics, rel=1e-3)
    assert rates(ours) == rates(eager) and len(rates(ours)[0]) > 1


@pytest.mark.parametrize("scheduler", ["none", "onecycle"])
def test_a_graph_has_four_steps_whatever_the_schedule(fit, uncompiled, monkeypatch, scheduler):
    sizes, run = [], CompiledSteps.run
    monkeypatch.setattr(CompiledSteps, "run", lambda self, parts: (sizes.append(len(parts)), run(self, parts))[1])
    fit(PLAIN[0], "model.hidden_sizes=[16]", f"scheduler={scheduler}", "trainer.max_epochs=1")
    assert sizes == []
    fit(PLAIN[0], "model.hidden_sizes=[16]", f"scheduler={scheduler}", "trainer.max_epochs=1", "task.compile=true")
    assert sizes == [1, 4, 4, 4, *[1] * 7]  # of 16 batches, the first eager; and of 4, the last smaller


def test_a_run_that_goes_on_within_an_epoch_has_the_graphs_of_an_undisturbed_one(
    fit, uncompiled, monkeypatch, tmp_path
):
    """Checkpoints come between calls of 16 batches; so do the ends by trainer.max_time."""
    from litlab.callbacks.last import LastCheckpoint

    sizes, run, save = [], CompiledSteps.run, LastCheckpoint._save
    monkeypatch.setattr(CompiledSteps, "run", lambda self, parts: (sizes.append(len(parts)), run(self, parts))[1])

    def keep(self, trainer):
        if not trainer.current_epoch and len(saved) == 0 and trainer.global_step == 32:
            trainer.save_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
            saved.append(len(sizes))
        save(self, trainer)

    saved = []
    monkeypatch.setattr(LastCheckpoint, "_save", keep)
    setting = (PLAIN[0], "scheduler=onecycle", "model.hidden_sizes=[16]", "data.batch_size=16", "task.compile=true")
    whole = fit(*setting, "checkpoint_seconds=1e-9")
    wholes, sizes[:] = sizes[saved[0] :], []
    resumed = fit(*setting, f"resume={tmp_path}")
    assert sizes == wholes and sizes[:4] == [4, 4, 4, 4]
    assert all(torch.equal(resumed.weights[name], weight) for name, weight in whole.weights.items())


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["none", "onecycle"])
def test_really_compiled(fit, tmp_path, scheduler):
    overrides = (*PLAIN[:1], *PLAIN[2:], f"scheduler={scheduler}", "trainer.max_epochs=2")
    eager = fit(*overrides, "task.compile=false")
    ours = fit(*overrides, "task.compile=true")
    assert ours.task.seconds_compiling > 0  # it was compiled
    assert_close(ours.weights, eager.weights)
    saved = tmp_path / "checkpoints" / "last.ckpt"
    ours.trainer.save_checkpoint(saved)
    checkpoint = torch.load(saved, weights_only=True)
    assert checkpoint["state_dict"].keys() == eager.weights.keys()
    if scheduler == "none":
        resumed = fit(*overrides, "trainer.max_epochs=3", f"resume={tmp_path}", "task.compile=false")
        assert resumed.trainer.global_step == 15


@pytest.mark.slow
def test_the_trainings_of_a_process_do_not_count_against_the_compilers_limit(fit):
    """Past it, later jobs of a sweep ran eagerly, with a warning and other last bits."""
    from torch._dynamo import config

    with config.patch(recompile_limit=2, fail_on_recompile_limit_hit=True):
        for seed in range(3):
            fit("data=digits", *PLAIN, "task.compile=true", "trainer.max_epochs=1", f"seed={seed}")
