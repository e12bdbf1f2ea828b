"""Cross entropy on logits; the metrics against scikit-learn's; weights of the classes."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from litlab.errors import RequestError
from litlab.tasks.binary import Binary
from litlab.tasks.class_weights import class_weights
from litlab.tasks.classification import Classification


def task(**settings):
    return Classification(nn.Identity(), torch.optim.SGD, monitor="val/accuracy", mode="max", num_outputs=5, **settings)


@pytest.fixture
def samples():
    random = torch.Generator().manual_seed(0)
    labels = torch.multinomial(torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05]), 1000, True, generator=random)
    return torch.randn(1000, 5, generator=random) + 1.5 * nn.functional.one_hot(labels, 5), labels


@pytest.mark.parametrize("within_0_to_1", [False, True])
def test_metrics_are_those_of_scikit_learn(samples, within_0_to_1):
    logits, labels = samples
    logits = (logits + 6) / 20 if within_0_to_1 else logits  # torchmetrics would take them for probabilities
    classification = task()
    classification.start_evaluation()
    for batch in zip(logits.split(300), labels.split(300), strict=True):
        classification.validation_step(batch, 0)
    ours = {name: float(value) for name, value in classification.metrics.compute().items()}
    probabilities, truth = logits.softmax(1).numpy(), labels.numpy()
    guess, confidence = probabilities.argmax(1), probabilities.max(1)
    bins = np.clip(np.ceil(confidence * 15) - 1, 0, 14)
    gaps = [abs((guess == truth)[bins == bin].sum() - confidence[bins == bin].sum()) for bin in range(15)]
    theirs = {
        "accuracy": sklearn_metrics.accuracy_score(truth, guess),
        "precision": sklearn_metrics.precision_score(truth, guess, average="macro"),
        "recall": sklearn_metrics.recall_score(truth, guess, average="macro"),
        "f1": sklearn_metrics.f1_score(truth, guess, average="macro"),
        "auroc": sklearn_metrics.roc_auc_score(truth, probabilities.astype(float), multi_class="ovr"),
        "calibration_error": sum(gaps) / len(truth),
    }
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_outputs_in_bf16_are_told_apart():
    outputs = torch.tensor([[0.1, 0.1005, -9, -9, -9]], dtype=torch.bfloat16)
    assert outputs.softmax(1).argmax() == 0, "half each"
    probabilities = task().predictions(outputs)
    assert probabilities.argmax() == 1 and probabilities.dtype == torch.float32
    assert task().predictions(outputs.double()).dtype == torch.float64


def test_the_focal_loss_by_hand(samples):
    logits, labels = samples
    probability = logits.softmax(1)[torch.arange(1000), labels]
    losses = (1 - probability) ** 2 * -probability.log()  # equation 4 of the paper
    torch.testing.assert_close(task(loss="focal").loss(logits, labels), losses.mean())
    weighted = task(loss="focal", class_weights="balanced")
    weighted.weight = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0])
    weights = weighted.weight[labels]
    torch.testing.assert_close(weighted.loss(logits, labels), (losses * weights).sum() / weights.sum())
    two = Binary(nn.Identity(), torch.optim.SGD, monitor="val/f1", mode="max", num_outputs=1, loss="focal")
    halves = torch.stack((torch.zeros(1000), logits[:, 0]), 1)  # the same classes by two logits
    expected = Classification(
        nn.Identity(), torch.optim.SGD, monitor="val/f1", mode="max", num_outputs=2, loss="focal"
    ).loss(halves, labels % 2)
    torch.testing.assert_close(two.loss(logits[:, :1], labels % 2), expected)


def test_a_loss_of_torch_and_what_does_not_go_with_it(samples):
    margin = nn.MultiMarginLoss(p=2)
    assert task(loss=margin).loss(*samples) == margin(*samples)
    with pytest.raises(RequestError, match=r"task.class_weights=balanced: needs task.loss=cross_entropy or focal"):
        task(loss=margin, class_weights="balanced")
    with pytest.raises(RequestError, match=r"task.label_smoothing=0.1: needs task.loss=cross_entropy; set 0"):
        task(loss="focal", label_smoothing=0.1)


def test_loss_weights_and_calibration_by_hand_and_scikit_learn(samples):
    logits, labels = samples
    theirs = sklearn_metrics.log_loss(labels.numpy(), logits.double().softmax(1).numpy())
    assert float(task().loss(logits, labels)) == pytest.approx(theirs, abs=1e-6)
    labels = samples[1]
    theirs = compute_class_weight("balanced", classes=np.arange(5), y=labels.numpy())
    np.testing.assert_allclose(class_weights("balanced", labels, 5).numpy(), theirs, rtol=1e-6)
    assert class_weights("balanced", torch.tensor([0, 0, 2]), 3).tolist() == [0.5, 0.0, 1.0]
    with pytest.raises(RequestError, match="null or balanced"):
        class_weights("even", labels, 5)
    logits = torch.tensor([[0.95], [1.0]]) * torch.eye(5)[0] + torch.tensor([[0.05], [0.0]]) * torch.eye(5)[1]
    error = task().metrics["calibration_error"]
    error.update(logits, torch.tensor([0, 1]))
    assert float(error.compute()) == pytest.approx(0.475, abs=1e-6)


@pytest.mark.parametrize(("data", "classes"), [("digits", 10), ("breast_cancer", 2)])
def test_weights_come_from_the_training_split_and_the_loss_is_one_of_the_whole_split(fit, data, classes):
    """Sum of weight times loss over the split by what the loss divides by, whatever the batches; so is an epoch's."""
    setting = (f"data={data}", "model=linear", "trainer.max_epochs=1", "scheduler=none", "data.batch_size=60")
    still = ("optimizer=sgd", "optimizer.lr=1e-30", "optimizer.momentum=0", "optimizer.nesterov=false")
    assert fit(*setting, *still).task.weight is None
    run = fit(*setting, *still, "task.class_weights=balanced")
    samples, labels = run.data.splits["train"]
    assert torch.equal(run.task.weight, class_weights("balanced", labels, classes))
    assert not [name for name in run.weights if not name.startswith("model.")]  # they are no part of a checkpoint
    keep = torch.cat([(labels == each).nonzero()[: 50 // (each + 1), 0] for each in range(10)])
    run.data.splits["val"] = type(run.data.splits["val"])(samples[keep], labels[keep])
    epoch, seen = run.metrics["train/loss"], []
    for size in (1, 7, 50, 1000):
        run.data.eval_batch_size = size
        run.trainer.validate(run.task, datamodule=run.data, verbose=False)
        seen.append(run.metrics["val/loss"])
    with torch.no_grad():
        loss, of_training = (
            float(run.task.loss(run.task.model(x), y)) for x, y in ((samples[keep], labels[keep]), (samples, labels))
        )
    assert seen == pytest.approx([loss] * 4, rel=1e-5)
    assert epoch == pytest.approx(of_training, rel=1e-5)
