"""The compiled step does what the eager one does. Compiling takes 5 to 30 seconds, so most of this is slow."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from litlab.tasks.steps import compiled
from litlab.tasks.steps.compiled import CompiledStep

PLAIN = ("optimizer=sgd", "scheduler=none", "data.batch_size=256", "model.hidden_sizes=[16]")


@pytest.fixture
def uncompiled(monkeypatch):
    """torch.compile gives the function back as it is: the logic around it is tested in no time."""
    monkeypatch.setattr(compiled.torch, "compile", lambda function, **_: function)


def assert_close(one, other):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-6)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def test_gradients_add_up_and_buffers_move(uncompiled):
    inputs, targets = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    ours, plain = network(), network()
    step = CompiledStep(ours, lambda *given: (F.cross_entropy(*given), 3 * F.cross_entropy(*given)))
    for _ in range(2):  # gradients are accumulated
        loss = step.gradients(inputs, targets, 0.5)
        expected = F.cross_entropy(plain(inputs), targets)
        (0.5 * expected).backward()
        torch.testing.assert_close(loss, 3 * expected.detach())  # what is reported, not what is minimized
    for one, other in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    assert_close(ours.state_dict(), plain.state_dict())  # running mean and variance
    assert int(ours[1].num_batches_tracked) == 2


def test_another_shape_does_not_fit():
    step = CompiledStep(network(), lambda *given: 2 * (F.cross_entropy(*given),))
    assert not step.fits(torch.zeros(6, 4))
    step.shape = torch.Size((6, 4))
    assert [step.fits(torch.zeros(size, 4)) for size in (6, 2, 6)] == [True, False, True]


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param((), id="plain"),
        pytest.param(("scheduler=onecycle",), id="scheduler"),
        pytest.param(
            ("trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=0.1"), id="accumulation-and-clip"
        ),
        pytest.param(("optimizer=adamw",), id="adamw"),
        pytest.param(("data=exam_scores", "data.passes_per_epoch=9"), id="standardized-targets"),
        pytest.param(("data.batch_size=64",), id="several-steps-in-a-graph"),
        pytest.param(("data.batch_size=64", "trainer.max_steps=11"), id="the-end-within-a-graph"),
        pytest.param(("data.batch_size=64", "scheduler=onecycle"), id="a-rate-per-step"),
    ],
)
def test_same_weights_and_names_with_and_without(fit, uncompiled, overrides):
    groups = {override.split("=")[0] for override in overrides}
    overrides = (*overrides, *(each for each in PLAIN if each.split("=")[0] not in groups))
    eager = fit(*overrides, "task.compile=false")
    ours = fit(*overrides, "task.compile=true")
    assert_close(ours.weights, eager.weights)
    assert ours.metrics == pytest.approx(eager.metrics, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["none", "onecycle"])
def test_really_compiled(fit, tmp_path, scheduler):
    overrides = (*PLAIN[:1], *PLAIN[2:], f"scheduler={scheduler}", "trainer.max_epochs=2")
    eager = fit(*overrides, "task.compile=false")
    ours = fit(*overrides, "task.compile=true")
    assert ours.task.compiled.seconds > 0  # it was compiled
    assert_close(ours.weights, eager.weights)
    saved = tmp_path / "compiled.ckpt"
    ours.trainer.save_checkpoint(saved)
    checkpoint = torch.load(saved, weights_only=True)
    assert checkpoint["state_dict"].keys() == eager.weights.keys()
    if scheduler == "none":
        resumed = fit(*overrides, "trainer.max_epochs=3", f"resume_from={saved}", "task.compile=false")
        assert resumed.trainer.global_step == 15
