"""torch's internals that litlab needs."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim import optimizer as torch_optimizer

# What torch.optim's optimizers call with fused=True; of lists of weights, on a CPU and on a GPU, in place.
fused_sgd, fused_adam, fused_adamw = torch._fused_sgd_, torch._fused_adam_, torch._fused_adamw_


def version(tensor: Tensor) -> int:
    """How often a tensor was changed in place, views of it included; autograd checks saved tensors by it.

    Raises:
        RuntimeError: the tensor was made in inference mode, which does not count.
    """
    return tensor._version


def has_step_hooks(optimizer: Optimizer) -> bool:
    """Whether a hook is registered on the optimizer's step, or on that of all optimizers."""
    own = (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)
    return any((*own, torch_optimizer._global_optimizer_pre_hooks, torch_optimizer._global_optimizer_post_hooks))


def has_hooks(model: nn.Module) -> bool:
    """Whether a hook is registered on a module of the model, or on the gradient of a weight."""
    of_modules = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    of_weights = ("_backward_hooks", "_post_accumulate_grad_hooks")
    return any(getattr(each, name) for each in model.modules() for name in of_modules) or any(
        getattr(each, name) for each in model.parameters() for name in of_weights
    )
