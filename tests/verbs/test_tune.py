"""tune=lr and tune=batch_size: what is found is right, and the run is the one where it was typed."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from litlab.errors import RequestError, RunError
from litlab.runs.result import Result
from litlab.tasks.classification import Classification
from litlab.verbs import tune
from litlab.verbs.train import train
from litlab.verbs.tune import smoothed, suggestion, tuned

RATES = np.geomspace(1e-5, 10, 101)


@pytest.fixture
def short(compose):
    """A config of one epoch, with an order of everything random in it: weights, dropout, batches."""

    def short(*overrides):
        return compose("trainer.max_epochs=1", "model.dropout=0.2", *overrides, pictures=False)

    return short


def weights(result):
    return torch.load(result.checkpoint, weights_only=True)["state_dict"]


def test_the_steepest_fall_is_that_of_the_curve_over_the_logarithm():
    falling = -np.tanh(np.log(RATES / 0.03))  # steepest at 0.03 by its logarithm; by the rate itself, at the start
    assert suggestion(RATES, falling) == pytest.approx(0.03, rel=0.1)
    assert suggestion(RATES, np.where(RATES > 1, np.inf, falling)) == pytest.approx(0.03, rel=0.1)
    jump = falling + np.where(np.arange(101) < 5, 100, 0)  # the running mean of few losses jumps
    assert suggestion(RATES, jump) == pytest.approx(0.03, rel=0.1)


def test_no_rate_is_above_a_tenth_of_the_one_where_the_loss_is_lowest():
    cliff = np.where(RATES < 0.03, -RATES, RATES)  # steepest right before it rises
    assert suggestion(RATES, cliff) == pytest.approx(0.1 * RATES[RATES < 0.03].max(), rel=0.01)


@pytest.mark.slow
def test_a_full_batch_does_not_blow_up_with_the_rate_that_is_found(compose):
    """Its loss falls fastest at 4.57e-5, with which this run's ends at 1e13."""
    result = train(compose("experiment=exam_scores", "tune=lr", pictures=False))
    assert 1.5e-5 < result.tuned["optimizer.lr"] < 3e-5  # 2.09e-5, or one beside it: what blows up is rounding
    assert result.metrics["test/loss"] < 1.07938  # the document's, with 1e-5


@pytest.mark.parametrize("losses", [RATES, np.full(101, np.nan), np.ones(11)])
def test_where_nothing_falls_nothing_is_found(losses):
    assert suggestion(RATES[: len(losses)], losses) is None


def test_the_running_mean_is_the_published_one():
    losses, mean, expected = np.random.default_rng(0).normal(size=50), 0.0, []
    for step, loss in enumerate(losses, start=1):
        mean = 0.98 * mean + 0.02 * loss
        expected.append(mean / (1 - 0.98**step))
    np.testing.assert_allclose(smoothed(losses), expected)


def test_without_tuning_the_config_is_the_same_object(compose):
    config, result = compose(), Result()
    assert tuned(config, result) is config
    assert "tuned" not in result.as_dict()


@pytest.mark.slow
def test_a_tuned_run_is_to_the_bit_the_one_where_the_rate_was_typed(short, same_weights, capsys):
    """With scheduler=onecycle, whose max_lr follows optimizer.lr, and whatever the tuning drew at random."""
    config = short("tune=lr")
    result = train(config)
    (line,) = capsys.readouterr().out.splitlines()
    rate = result.tuned["optimizer.lr"]
    assert f"tune=lr: optimizer.lr={rate:g}, taken instead of 0.1" in line
    assert 0.01 < rate < 1  # 0.1 is a good one
    assert config.optimizer.lr == 0.1  # what was asked stays as it was
    assert (Path(config.paths.run_dir) / "plots" / "lr_range_test.png").stat().st_size > 1000
    assert sorted(path.name for path in Path(config.paths.run_dir).iterdir()) == ["checkpoints", "history.csv", "plots"]
    typed = train(short(f"optimizer.lr={rate}"))
    assert "tuned" not in typed.as_dict()
    assert same_weights(weights(result), weights(typed))
    assert result.metrics == typed.metrics
    assert not same_weights(weights(result), weights(train(short())))


def test_a_suggestion_that_is_only_shown(short, same_weights, capsys):
    result = train(short("tune=lr", "tune.apply=false", "tune.steps=40"))
    assert "tuned" not in result.as_dict()
    assert f"optimizer.lr={result.suggested['optimizer.lr']:g}, not taken" in capsys.readouterr().out
    assert same_weights(weights(result), weights(train(short())))


def test_the_range_test_is_of_optimizer_steps_from_the_first_weights(short, monkeypatch):
    """Two batches a step, rates from end to end; the first loss is that of ten classes by chance."""
    seen = {}

    def drawn(rates, losses, found, present):
        seen.update(rates=rates, losses=losses)
        raise RunError("enough")

    monkeypatch.setattr(tune, "lr_range_test", drawn)
    with pytest.raises(RunError, match="enough"):
        train(short("tune=lr", "tune.min_lr=1e-5", "tune.max_lr=0.1", "trainer.accumulate_grad_batches=2"))
    rates, losses = seen["rates"], seen["losses"]
    assert len(rates) == len(losses) == 100
    np.testing.assert_allclose(rates[1:] / rates[:-1], (0.1 / 1e-5) ** 0.01, rtol=0.2)
    assert rates[0] == pytest.approx(1e-5) and rates[-1] == pytest.approx(0.1)
    assert losses[0] == pytest.approx(math.log(10), rel=0.1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("tune=batch_size",), r"tune=batch_size: needs a GPU, where memory .*-m data\.batch_size="),
        (("tune=lr", "tune.min_lr=1", "tune.max_lr=0.1"), r"tune\.min_lr=1: must be .* below tune\.max_lr=0\.1"),
        (("tune=lr", "tune.steps=5"), r"tune\.steps=5: too few"),
        (("tune=lr", "trainer.fast_dev_run=true"), "tune=lr: not together with debug"),
    ],
)
def test_what_cannot_be_tuned_is_refused_in_one_line(compose, overrides, message):
    with pytest.raises(RequestError, match=message) as error:
        tuned(compose(*overrides), Result())
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("full_at", "size"), [(500, 256), (100_000, 1257)])
def test_the_batch_size_is_doubled_until_the_memory_is_full(compose, monkeypatch, full_at, size):
    """On a CPU that says it were a GPU; 1,257 samples are all there are."""
    loss = Classification.loss

    def bounded(self, outputs, targets):
        if len(targets) > full_at:
            raise RuntimeError("CUDA out of memory. Tried to allocate 1 GiB")
        return loss(self, outputs, targets)

    monkeypatch.setattr(Classification, "loss", bounded)
    monkeypatch.setattr(tune, "memory_bounds", lambda trainer: True)
    config, result = compose("tune=batch_size"), Result()
    assert tuned(config, result).data.batch_size == size
    assert result.tuned == {"data.batch_size": size}
    assert config.data.batch_size == 64
