"""Validation and test: sums over a whole split."""

import pytest
import torch

PLAIN = ("optimizer=sgd", "scheduler=none")


def test_metrics_are_those_of_the_whole_split(fit):
    """Batches of 100 of 360 samples, the last of 60: a mean of batch accuracies would differ."""
    from sklearn.metrics import accuracy_score, log_loss

    run = fit(*PLAIN, "trainer.max_epochs=1", "data.eval_batch_size=100")
    for part, evaluate in (("val", run.trainer.validate), ("test", run.trainer.test)):
        evaluate(run.task, datamodule=run.data, verbose=False)
        metrics = run.metrics
        inputs, targets = run.data.splits[part]
        with torch.no_grad():
            shares = run.task.model.eval()(inputs).softmax(dim=1).double().numpy()
        assert metrics[f"{part}/accuracy"] == pytest.approx(accuracy_score(targets, shares.argmax(1)), abs=1e-7)
        assert metrics[f"{part}/loss"] == pytest.approx(log_loss(targets, shares, labels=range(10)), rel=1e-5)
        assert 0.5 < metrics[f"{part}/accuracy"] < 1
