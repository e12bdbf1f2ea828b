"""The assembly: which weights the optimizer gets."""

import torch

from litlab.build import build_data, build_task

PLAIN = ("optimizer=sgd", "scheduler=none")


def test_frozen_weights_stay(compose):
    from litlab.build import build_trainer

    config = compose(*PLAIN)
    data = build_data(config)
    task = build_task(config, data)
    first, last = task.model[1], task.model[-1]
    first.requires_grad_(False)
    frozen, free = first.weight.clone(), last.weight.detach().clone()
    build_trainer(config, data).fit(task, datamodule=data)
    assert torch.equal(first.weight, frozen)
    assert not torch.equal(last.weight, free)
