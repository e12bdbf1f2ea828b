"""The numbers of the experiments that take seconds."""

import statistics

import pytest
import torch
from torch import nn

from litlab.config.choices import CONF
from litlab.data.california import FILE, California
from litlab.verbs.train import train

SHARED = CONF.parents[1] / "shared" / "data"


@pytest.fixture
def run(compose):
    """Train, and return the result; without the fixture's two epochs."""

    def ran(experiment, epochs, *overrides):
        return train(compose(f"experiment={experiment}", f"trainer.max_epochs={epochs}", *overrides))

    return ran


def weights(result):
    state = torch.load(result.checkpoint, weights_only=True)["state_dict"]
    return torch.cat([weight.flatten() for name, weight in state.items() if name.startswith("model.")])


@pytest.mark.slow
def test_sine_polynomial(run):
    """With steps enough, the least-squares optimum."""
    result = run("sine_polynomial", 1, "data.passes_per_epoch=20000")
    assert result.parameters == 4
    assert result.metrics["test/loss"] == pytest.approx(4.42703, abs=1e-4)
    expected = torch.tensor([-0.0932732, 0.0, 0.8564988, 0.0])
    torch.testing.assert_close(weights(result), expected, atol=1e-4, rtol=0)


def test_exam_scores(run):
    assert run("exam_scores", 1).metrics["test/loss"] == pytest.approx(1.07938, abs=1e-4)
    assert run("exam_scores", 1, "data.typo=true").metrics["test/loss"] == pytest.approx(3.94, abs=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["data/line", "data/exam_scores", "data/sine", "model/polynomial"])
def test_the_command_that_a_yaml_opens_with_fits(compose, root, name):
    command = next(line for line in (root / "conf" / f"{name}.yaml").read_text().splitlines() if "train.py" in line)
    words = command.partition("train.py")[2].split()
    result = train(compose(*words, "trainer.max_epochs=8", pictures=False))
    assert result.metrics["test/r2"] > 0.99
    assert result.hints == []


def test_line(run):
    result = run("line", 1)
    weight, bias = weights(result).tolist()
    assert result.weights == {"1.weight": [weight], "1.bias": [bias]}
    assert weight == pytest.approx(2, abs=0.002)
    assert bias == pytest.approx(0, abs=0.005)
    assert result.metrics["test/loss"] < 1e-5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_breast_cancer_logistic(run, seed):
    result = run("breast_cancer_logistic", 30, f"seed={seed}")
    assert result.parameters == 31 and result.weights is None
    assert result.metrics["test/auroc"] >= 0.99


def test_the_training_split_is_evaluated_on_request(run):
    plain = run("breast_cancer_logistic", 1, "data.val_size=0.1")
    more = run("breast_cancer_logistic", 1, "data.val_size=0.1", "evaluate_train=true")
    extra = {"eval_loss", "accuracy", "precision", "recall", "f1", "auroc", "calibration_error"}
    assert set(more.metrics) - set(plain.metrics) == {f"train/{name}" for name in extra}
    assert more.metrics["train/eval_loss"] != more.metrics["train/loss"], "the mean over the last epoch's steps"
    assert {name: more.metrics[name] for name in plain.metrics} == plain.metrics
    auroc = {part: more.metrics[f"{part}/auroc"] for part in ("train", "val", "test")}
    assert len(set(auroc.values())) == 3, "each of its own split"
    assert more.test_split == "test"
    fitted = run("exam_scores", 1, "evaluate_train=true")
    assert fitted.test_split == "train"
    same = fitted.metrics
    assert same["train/eval_loss"] == same["test/loss"] != same["train/loss"]


def test_one_batch_per_epoch_is_one_batch(fit):
    """trainer.limit_train_batches=1 is a count, 1.0 a share; the two are equal numbers."""
    fitted = fit("data=digits", "trainer.limit_train_batches=1")
    assert fitted.trainer.global_step == 2  # epochs


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / FILE).is_file(), reason="needs scikit-learn's cache in ../shared/data")
def test_the_mistakes_of_document_000(run):
    """Its loop as it runs, on 100 rows, over 30 seeds: with its second mistake, and as california_document."""
    rows, _ = California(data_dir=SHARED).load()
    x, y = rows.inputs[:100], rows.targets[:100]

    def loss(seed, output):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(8, 100), nn.ReLU(), nn.Linear(100, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(181):
            optimizer.zero_grad()
            loss = ((output(model(x)) - y) ** 2).mean()
            loss.backward()
            optimizer.step()
        return loss.item()

    broadcast = [loss(seed, lambda outputs: outputs) for seed in range(30)]
    right = [loss(seed, lambda outputs: outputs.squeeze(1)) for seed in range(30)]
    for losses, mean, std in [(broadcast, 0.987, 0.453), (right, 0.903, 0.512)]:
        assert (statistics.fmean(losses), statistics.stdev(losses)) == pytest.approx((mean, std), abs=0.01)
    ours = run("california_document", 181, f"paths.data_dir={SHARED}", "seed=4")
    assert ours.metrics["train/loss"] == pytest.approx(right[4], rel=1e-4)
