"""The losses that a run's are judged by: of the best constant prediction, and of the untrained model."""

import math

import pytest
import torch

from litlab.data.splits import Split
from litlab.tasks.baseline import all_equal, baseline_loss, untrained_loss
from litlab.tasks.binary import Binary
from litlab.tasks.classification import Classification
from litlab.tasks.regression import Regression

CLASSES = torch.arange(400).square() % 7 % 4  # 0, 1, 2 of different frequencies
NUMBERS = torch.arange(100.0)


def built(kind, outputs, weight=None, mean=0.0, std=1.0, **settings):
    """A task without a model, with these class weights or target statistics."""
    task = kind(torch.nn.Identity(), torch.optim.SGD, num_outputs=outputs, monitor="val/loss", mode="min", **settings)
    if weight is not None:
        task.weight = torch.tensor(weight)
    if settings.get("standardize_targets"):
        task.target_mean.fill_(mean), task.target_std.fill_(std)
    return task


def least_loss(task, targets, outputs):
    """Of a constant prediction, by search."""
    best = torch.zeros(1, outputs, requires_grad=True)
    optimizer = torch.optim.LBFGS([best], max_iter=200, line_search_fn="strong_wolfe", tolerance_change=1e-12)

    def closure():
        optimizer.zero_grad()
        minimized = task.objective(best.expand(len(targets), -1), targets)[0]
        minimized.backward()
        return minimized

    optimizer.step(closure)
    return float(task.loss(best.expand(len(targets), -1), targets))


@pytest.mark.parametrize(
    ("task", "targets", "outputs"),
    [
        (built(Classification, 4), CLASSES, 4),  # the last class has no sample
        (built(Classification, 4, label_smoothing=0.1), CLASSES, 4),
        (built(Classification, 4, [1.0, 5.0, 0.5, 0.0]), CLASSES, 4),
        (built(Classification, 4, [1.0, 5.0, 0.5, 2.0], label_smoothing=0.3), CLASSES, 4),
        (built(Binary, 1), CLASSES.clamp(max=1), 1),
        (built(Binary, 1, [3.0, 0.5]), CLASSES.clamp(max=1), 1),
        (built(Regression, 1), NUMBERS, 1),
        (built(Regression, 1, mean=7.0, std=30.0, standardize_targets=True), NUMBERS, 1),
        (built(Regression, 1, reduction="sum"), NUMBERS, 1),
        (built(Regression, 2), torch.stack((NUMBERS, -NUMBERS), dim=1), 2),
    ],
)
def test_the_closed_form_is_the_least_loss(task, targets, outputs):
    loss = baseline_loss(task, Split(targets, targets), outputs, len(targets))
    assert loss == pytest.approx(least_loss(task, targets, outputs), rel=1e-4)


def test_baselines_by_hand_and_of_equal_targets():
    labels = torch.tensor([0, 0, 0, 1] * 25)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert baseline_loss(built(Classification, 10), Split(labels, labels), 10, 64) == pytest.approx(entropy)
    variance = float(NUMBERS.var(correction=0))
    assert baseline_loss(built(Regression, 1), Split(NUMBERS, NUMBERS), 1, 64) == pytest.approx(variance)
    nothing, huge = built(Classification, 4, [0.0] * 4), torch.tensor([3e30, -3e30])
    assert math.isnan(baseline_loss(nothing, Split(CLASSES, CLASSES), 4, 64))
    assert math.isnan(baseline_loss(built(Regression, 1), Split(huge, huge), 1, 64))
    for values in ([0.3, 0.30000001, 0.3], [0.0, 0.0], [7], [2000.0, 2000.01], [0, 0, 1]):
        targets, equal = torch.tensor(values), values[-1] not in (2000.01, 1)  # the last two are close only
        assert all_equal(targets) is equal
        task = built(Regression, 1) if targets.is_floating_point() else built(Classification, 8)
        assert (baseline_loss(task, Split(targets, targets), task.num_outputs, 64) == 0.0) is equal


def test_the_untrained_models_loss_disturbs_no_random_numbers(fit):
    run = fit("experiment=exam_scores", "optimizer.lr=0")
    targets, state = run.data.splits["train"].targets, torch.get_rng_state()
    assert untrained_loss(run.config, run.task, run.data) == pytest.approx(float(targets.square().mean()))
    assert torch.equal(torch.get_rng_state(), state)
