"""What an optimizer does in a step, without what torch wraps around it.

That is a label for profilers, a call of hooks and a switch for gradients, twice as long as a small network's update.
"""

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer


def raw_update(optimizer: Optimizer) -> Callable[[Optimizer], Any]:
    """The function that updates the weights; call it with the optimizer, under torch.no_grad.

    It calls no hooks: see `litlab.compat.torch.has_step_hooks`. Wrappers of others than torch stay.
    """
    step: Any = type(optimizer).step
    while hasattr(step, "__wrapped__") and step.__globals__["__name__"].startswith("torch."):
        step = step.__wrapped__
    return step
