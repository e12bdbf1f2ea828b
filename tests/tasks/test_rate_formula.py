"""A learning rate by a formula: its values, torch's LambdaLR with it, and what is no formula."""

import math

import pytest
import torch

from litlab.errors import RequestError
from litlab.tasks.rate_formula import RateFormula


@pytest.mark.parametrize(
    ("formula", "factors"),
    [
        ("0.95 ** epoch", [1, 0.95, 0.9025]),
        ("1 / (1 + 0.1 * epoch)", [1, 1 / 1.1, 1 / 1.2]),
        ("max(0.5, 1 - epoch / 2)", [1, 0.5, 0.5]),
        ("(1 + cos(pi * epoch / 2)) / 2", [1, 0.5, 0]),
        ("-epoch % 2 + 7 // 2", [3, 4, 3]),
        ("0.1", [0.1, 0.1, 0.1]),
    ],
)
def test_factors(formula, factors):
    assert [RateFormula(formula)(epoch) for epoch in range(3)] == pytest.approx(factors, abs=1e-12)


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("__import__('os').system('touch x')", "is no number, nor `epoch`"),
        ("epoch.real", "'epoch.real' is no number"),
        ("(lambda: 1)()", "is no number"),
        ("9 ** 9 ** 9 ** 9", "is no number at epoch 0"),
        ("1 / epoch", "is no number at epoch 0"),
        ("0.95 **", "is no number at epoch 0"),
        ("epochs * 2", "'epochs' is no number"),
        ("log(-1)", "is no number at epoch 0"),
    ],
)
def test_what_is_no_formula(formula, told):
    with pytest.raises(RequestError, match=r"scheduler\.lr_lambda\.formula=") as caught:
        RateFormula(formula)
    assert told in str(caught.value) and "write it as in '0.95 ** epoch'" in str(caught.value)


def test_the_documents_schedule(fit):
    """LambdaLR with 0.95 ** epoch has the rates and weights of scheduler=exponential."""
    ours, same = (fit("data=digits", f"scheduler={name}").task for name in ("lambda", "exponential"))
    assert ours.schedule.scheduler.get_last_lr() == pytest.approx([0.1 * 0.95**2])
    assert isinstance(ours.schedule.scheduler, torch.optim.lr_scheduler.LambdaLR)
    for name, weight in ours.state_dict().items():
        torch.testing.assert_close(weight, same.state_dict()[name])
    assert math.isclose(ours.schedule.scheduler.lr_lambdas[0](2), 0.9025)
