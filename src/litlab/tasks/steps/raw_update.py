"""What an optimizer does in a step, without what torch wraps around it.

That is a label for profilers, a call of hooks and a switch for gradients, twice as long as a small network's update.
"""

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim import optimizer as torch_optimizer


def raw_update(optimizer: Optimizer) -> Callable[[Optimizer], Any]:
    """The function that updates the weights; call it with the optimizer, under torch.no_grad.

    Wrappers of others than torch stay.
    """
    step: Any = type(optimizer).step
    while hasattr(step, "__wrapped__") and step.__globals__["__name__"].startswith("torch."):
        step = step.__wrapped__
    return step


def is_hooked(optimizer: Optimizer) -> bool:
    """Whether a hook is registered on its step, which `raw_update` would not call."""
    own = (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)
    return any((*own, torch_optimizer._global_optimizer_pre_hooks, torch_optimizer._global_optimizer_post_hooks))
