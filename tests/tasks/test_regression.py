"""The losses against torch's; the metrics against scikit-learn's."""

import copy
from types import SimpleNamespace

import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from torch import nn
from torch.nn import functional as F

from litlab.data.splits import Split
from litlab.data.tables import ExamScores
from litlab.tasks.regression import Regression
from litlab.verbs.train import train


def task(num_outputs=1, **settings):
    return Regression(
        nn.Identity(), torch.optim.SGD, monitor="val/rmse", mode="min", num_outputs=num_outputs, **settings
    )


def evaluated(task, outputs, targets):
    task.start_evaluation()
    for batch in zip(outputs.split(300), targets.split(300), strict=True):
        task.validation_step(batch, 0)
    return {name: float(value) for name, value in task.metrics.compute().items()}


@pytest.mark.parametrize("columns", [0, 1, 3])
def test_metrics_are_those_of_scikit_learn(columns):
    shape = (1000, columns) if columns else (1000,)
    targets = (
        torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 22 + 17100
    )  # far from 0: R2 needs float64
    outputs = targets + torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 3
    metrics = evaluated(task(columns or 1), outputs.reshape(1000, -1), targets)
    truth, predicted = targets.double().numpy(), outputs.double().numpy()
    assert metrics["mae"] == pytest.approx(mean_absolute_error(truth, predicted), abs=1e-6)
    assert metrics["r2"] == pytest.approx(r2_score(truth, predicted), abs=1e-6)
    together = root_mean_squared_error(truth.ravel(), predicted.ravel())
    assert metrics["rmse"] == pytest.approx(together, abs=1e-6)


def test_losses_by_hand():
    outputs, targets = torch.randn(7, 1), torch.randn(7)
    loss = task().loss(outputs, targets)
    assert loss == pytest.approx(float((outputs[:, 0] - targets).square().mean()))
    torch.testing.assert_close(task().loss(outputs, targets.unsqueeze(1)), loss)
    for settings in [{}, {"standardize_targets": True}]:
        outputs, targets = torch.randn(7, 2), torch.randn(7, 2)
        squares = float((outputs - targets).square().sum())
        assert float(task(2, reduction="sum", **settings).loss(outputs, targets)) == pytest.approx(squares)
        assert float(task(2, **settings).loss(outputs, targets)) == pytest.approx(squares / 14)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize(
    ("loss", "theirs"),
    [("mse", nn.MSELoss()), ("mae", nn.L1Loss()), ("huber", nn.HuberLoss()), *[(nn.SmoothL1Loss(beta=0.5),) * 2]],
)
def test_other_losses_are_torchs_in_the_targets_unit(loss, theirs, standardize):
    outputs, targets = torch.randn(7, 2, requires_grad=True), torch.randn(7, 2)
    expected = copy.deepcopy(theirs)  # before the task sets its reduction
    made = task(2, loss=copy.deepcopy(loss), standardize_targets=standardize)
    if standardize:
        made.target_mean.copy_(torch.tensor([5.0, -3.0])), made.target_std.copy_(torch.tensor([10.0, 0.5]))
        targets = targets * made.target_std + made.target_mean
    objective, reported = made.objective(outputs, targets)
    if loss == "huber" and standardize:  # whose threshold is a standard deviation, not one of the targets' units
        errors = [nn.HuberLoss(delta=std)(*pair) for std, *pair in zip(
            (10.0, 0.5), made.predictions(outputs).unbind(1), targets.unbind(1), strict=True
        )]  # fmt: skip
        torch.testing.assert_close(reported, torch.stack(errors).mean())
    else:
        torch.testing.assert_close(reported, expected(made.predictions(outputs), targets))
    torch.testing.assert_close(made.loss(outputs, targets), reported)
    unitless = (targets - made.target_mean) / made.target_std if standardize else targets
    torch.testing.assert_close(objective, expected(outputs, unitless))
    (gradient,) = torch.autograd.grad(objective, outputs)
    (theirs_too,) = torch.autograd.grad(expected(outputs, unitless), outputs)
    torch.testing.assert_close(gradient, theirs_too)


def standardized(targets, **settings):
    """A task that has seen these training targets."""
    made = task(targets[0].numel(), standardize_targets=True, **settings)
    made.trainer = SimpleNamespace(datamodule=SimpleNamespace(splits={"train": Split(targets, targets)}))
    made.setup("fit")
    return made


def test_statistics_are_of_each_number_and_of_the_training_that_made_the_weights():
    targets = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.01, 22, 0])
    targets += torch.tensor([0.3, 580, 0.1])  # the last one is always the same
    made = standardized(targets)
    torch.testing.assert_close(made.target_mean, targets.mean(0))
    torch.testing.assert_close(made.target_std[:2], targets[:, :2].std(0, correction=0))
    assert float(made.target_std[2]) == 1
    outputs = torch.randn(1000, 3, requires_grad=True)
    predictions = (outputs * made.target_std + made.target_mean).detach()
    torch.testing.assert_close(made.predictions(outputs), predictions)
    ours = F.mse_loss(predictions.double(), targets.double())
    minimized, loss = made.objective(outputs, targets)
    assert float(loss) == float(made.loss(outputs, targets)) == pytest.approx(float(ours), rel=1e-5)
    scaled = (targets - made.target_mean) / made.target_std
    torch.testing.assert_close(minimized, F.mse_loss(outputs, scaled))
    metrics = evaluated(made, outputs.detach(), targets)
    truth, predicted = targets.double().numpy(), predictions.double().numpy()
    assert metrics["mae"] == pytest.approx(mean_absolute_error(truth, predicted), rel=1e-5)
    assert metrics["rmse"] == pytest.approx(float(ours) ** 0.5, rel=1e-5)
    made = standardized(torch.tensor([1.0, 3.0]))
    made.trainer.datamodule.splits["train"] = Split(*2 * (torch.tensor([50.0, 90.0]),))
    made.setup("test")
    assert (made.target_mean.tolist(), made.target_std.tolist()) == ([2.0], [1.0])
    made.setup("fit")
    assert (made.target_mean.tolist(), made.target_std.tolist()) == ([70.0], [20.0])
    other = task(standardize_targets=True)
    other.load_state_dict(made.state_dict())
    assert float(other.predictions(torch.ones(1, 1))) == 90


def test_targets_around_580_are_learned_by_default(compose, monkeypatch):
    """Unscaled, Adam would take 580 / 0.001 steps to their mean alone."""
    inputs = torch.randn(600, 5, generator=torch.Generator().manual_seed(0))
    targets = 580 + 20 * inputs @ torch.tensor([1.0, -1, 2, 0.5, 0])
    monkeypatch.setattr(ExamScores, "load", lambda self: (Split(inputs, targets), None))
    monkeypatch.setattr(ExamScores, "input_shape", (5,))
    monkeypatch.setattr(ExamScores, "feature_names", None)
    split = (
        "data.passes_per_epoch=1",
        "data.test_on_train=false",
        "data.test_size=100",
        "data.batch_size=50",
        "trainer.max_epochs=10",
    )
    result = train(compose("data=exam_scores", "model=linear", "optimizer.lr=0.05", *split, pictures=False))
    assert result.metrics["test/r2"] > 0.95 and result.hints == []
    assert result.metrics["test/loss"] == pytest.approx(result.metrics["test/rmse"] ** 2, rel=1e-4)
    assert result.target_mean == [pytest.approx(580, abs=10)]
    saved = torch.load(result.checkpoint, weights_only=True)["state_dict"]
    assert saved["target_mean"].tolist() == result.target_mean and saved["target_std"].tolist() == result.target_std
    plain = train(compose("data=exam_scores", "model=linear", *split, "task.standardize_targets=false", pictures=False))
    assert plain.metrics["test/r2"] < 0 and "task.standardize_targets=true" in plain.hints[0]
