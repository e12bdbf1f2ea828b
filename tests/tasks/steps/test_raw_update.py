"""The bare step is torch's own step, without its wrappers."""

import functools

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from litlab.compat.torch import has_step_hooks
from litlab.tasks.steps.step import raw_update


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        ("Adam", {}),
        ("AdamW", {"foreach": True}),
        ("RMSprop", {}),
        ("Adagrad", {}),
    ],
)
def test_it_takes_the_same_step_and_leaves_gradients_on(name, settings):
    weights = [torch.nn.Parameter(torch.arange(1.0, 5.0)) for _ in range(2)]
    ours, torchs = (getattr(torch.optim, name)([weight], lr=0.1, **settings) for weight in weights)
    for number in range(3):
        for weight in weights:
            weight.grad = torch.tensor([1.0, -2.0, 0.5, 0.0]) * (number + 1)
        with torch.no_grad():
            raw_update(ours)(ours)
        torchs.step()
        assert torch.equal(*weights)
    assert not torch.equal(weights[0], torch.arange(1.0, 5.0))
    assert weights[0].requires_grad and (weights[0] * 2).requires_grad


def test_wrappers_of_others_stay_and_hooks_are_noticed():
    calls = []

    def counted(step):
        @functools.wraps(step)
        def wrapper(self):
            calls.append(1)
            return step(self)

        return wrapper

    class Counted(torch.optim.SGD):
        @counted
        def step(self):
            super().step()

    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = Counted([weight], lr=0.5)
    weight.grad = torch.ones(1)
    with torch.no_grad():
        raw_update(optimizer)(optimizer)
    assert calls == [1] and weight.item() == 0.5
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    assert not has_step_hooks(optimizer)
    for register in (
        optimizer.register_step_pre_hook,
        optimizer.register_step_post_hook,
        register_optimizer_step_post_hook,
    ):
        handle = register(lambda *_: None)
        assert has_step_hooks(optimizer)
        handle.remove()
        assert not has_step_hooks(optimizer)
