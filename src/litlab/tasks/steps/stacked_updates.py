"""The updates of K stacked networks, each member with its own settings: torch's fused ones, member by member.

A fused update reads and writes each weight once. With operations on all members at once the weights of wide layers went
through memory several times, and a step of the stack cost more than those of its members alone.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.optim.rmsprop import rmsprop

from litlab.compat.torch import fused_adam, fused_adamw, fused_sgd
from litlab.tasks.steps.stacked import NotStackableError

# Settings of torch's optimizers that a stack does not have, at the values at which they do nothing.
IDLE: dict[str, Any] = {
    "dampening": 0,
    "amsgrad": False,
    "capturable": False,
    "differentiable": False,
}
IDLE |= {"foreach": None, "fused": None}


def per_member(values: Tensor, like: Tensor) -> Tensor:
    """Values (K,) in the shape in which they are multiplied with (K, ...)."""
    return values.view(-1, *[1] * (like.dim() - 1))


class StackedClipping:
    """`Step.clip` for each member.

    Args:
        limits: the norm or value of each member; None or 0: off.
        algorithm: norm (or None) or value.
        like: a tensor of the weights' dtype and device.
    """

    def __init__(self, limits: Sequence[float | None], algorithm: str | None, like: Tensor) -> None:
        self.limits = like.new_tensor([limit or math.inf for limit in limits]) if any(limits) else None
        self.algorithm = algorithm

    def __call__(self, gradients: Sequence[Tensor]) -> None:
        """Clip the gradients (K, ...) in place."""
        if self.limits is None:
            return
        if self.algorithm == "value":
            for gradient in gradients:
                limit = per_member(self.limits, gradient)
                gradient.clamp_(-limit, limit)
            return
        norms = torch.stack([torch.linalg.vector_norm(each.flatten(1), dim=1) for each in gradients])
        factors = (self.limits / (torch.linalg.vector_norm(norms, dim=0) + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(per_member(factors, gradient))


class StackedSGD:
    """torch.optim.SGD, to the bit.

    Args:
        weights: (K, ...) each; updated in place.
        groups: the parameter group of each member's optimizer.
    """

    def __init__(self, weights: Sequence[Tensor], groups: Sequence[Mapping[str, Any]]) -> None:
        self.weights = members_of(weights)
        # With momentum, a buffer for each of a member's weights.
        self.buffers = [
            [torch.zeros_like(each) for each in member] if group["momentum"] else []
            for member, group in zip(self.weights, groups, strict=True)
        ]

    @staticmethod
    def constants(group: Mapping[str, Any]) -> dict[str, Any]:
        """Those of a member's step."""
        return {name: group[name] for name in ("lr", "momentum", "weight_decay", "nesterov", "maximize")}

    @torch.no_grad()
    def __call__(self, gradients: Sequence[Tensor], constants: Sequence[Mapping[str, Any]]) -> None:
        """Update the weights by the gradients (K, ...), with the constants of each member."""
        found = members_of(gradients)
        for weights, gradient, buffers, given in zip(self.weights, found, self.buffers, constants, strict=True):
            fused_sgd(weights, gradient, buffers, dampening=0.0, is_first_step=False, **given)

    def take(self, other: "StackedSGD", members: Sequence[int]) -> None:
        """Take over the state of these members of a larger stack."""
        self.buffers = [other.buffers[member] for member in members]

    def state(self, member: int) -> list[dict[str, Tensor]]:
        """A copy of what the member's own optimizer would keep for each weight."""
        return [{"momentum_buffer": buffer.clone()} for buffer in self.buffers[member]]


class StackedAdam:
    """torch.optim.Adam and AdamW, as with their fused=True.

    Args:
        weights: (K, ...) each; updated in place.
        groups: the parameter group of each member's optimizer.
    """

    def __init__(self, weights: Sequence[Tensor], groups: Sequence[Mapping[str, Any]]) -> None:
        self.weights = members_of(weights)
        self.update: Any = fused_adamw if groups[0]["decoupled_weight_decay"] else fused_adam
        self.step = torch.zeros((), device=weights[0].device)  # that of all weights
        self.moments = [
            tuple([torch.zeros_like(each) for each in member] for _ in ("mean", "square")) for member in self.weights
        ]

    @staticmethod
    def constants(group: Mapping[str, Any]) -> dict[str, Any]:
        """Those of a member's step."""
        names = {name: group[name] for name in ("lr", "weight_decay", "eps", "maximize")}
        return names | dict(zip(("beta1", "beta2"), group["betas"], strict=True))

    @torch.no_grad()
    def __call__(self, gradients: Sequence[Tensor], constants: Sequence[Mapping[str, Any]]) -> None:
        """Update the weights by the gradients (K, ...), with the constants of each member."""
        self.step += 1
        steps = [self.step] * len(gradients)
        found = members_of(gradients)
        for weights, gradient, moments, given in zip(self.weights, found, self.moments, constants, strict=True):
            self.update(weights, gradient, *moments, [], steps, amsgrad=False, **given)

    def take(self, other: "StackedAdam", members: Sequence[int]) -> None:
        """Take over the state of these members of a larger stack."""
        self.step, self.moments = other.step, [other.moments[member] for member in members]

    def state(self, member: int) -> list[dict[str, Tensor]]:
        """A copy of what the member's own optimizer would keep for each weight."""
        return [
            {"step": self.step.to("cpu", mean.dtype, copy=True), "exp_avg": mean.clone(), "exp_avg_sq": square.clone()}
            for mean, square in zip(*self.moments[member], strict=True)
        ]


class StackedRMSprop:
    """torch.optim.RMSprop, to the bit.

    Args:
        weights: (K, ...) each; updated in place.
        groups: the parameter group of each member's optimizer.
    """

    def __init__(self, weights: Sequence[Tensor], groups: Sequence[Mapping[str, Any]]) -> None:
        self.weights = members_of(weights)
        self.step = torch.zeros((), dtype=weights[0].dtype)  # that of all weights
        # By name of the state, which the settings decide: a tensor for each of a member's weights.
        self.states = [
            {name: [torch.zeros_like(each) for each in member] for name, kept in self._kept(group).items() if kept}
            for member, group in zip(self.weights, groups, strict=True)
        ]

    @staticmethod
    def _kept(group: Mapping[str, Any]) -> dict[str, bool]:
        return {"square_avg": True, "momentum_buffer": group["momentum"] > 0, "grad_avg": group["centered"]}

    @staticmethod
    def constants(group: Mapping[str, Any]) -> dict[str, Any]:
        """Those of a member's step."""
        names = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered", "maximize")
        return {name: group[name] for name in names}

    @torch.no_grad()
    def __call__(self, gradients: Sequence[Tensor], constants: Sequence[Mapping[str, Any]]) -> None:
        """Update the weights by the gradients (K, ...), with the constants of each member."""
        found = members_of(gradients)
        for weights, gradient, states, given in zip(self.weights, found, self.states, constants, strict=True):
            squares, means, buffers = (states.get(name, []) for name in ("square_avg", "grad_avg", "momentum_buffer"))
            steps = [self.step.clone() for _ in weights]
            rmsprop(weights, gradient, squares, means, buffers, steps, foreach=False, **given)
        self.step += 1

    def take(self, other: "StackedRMSprop", members: Sequence[int]) -> None:
        """Take over the state of these members of a larger stack."""
        self.step, self.states = other.step, [other.states[member] for member in members]

    def state(self, member: int) -> list[dict[str, Tensor]]:
        """A copy of what the member's own optimizer would keep for each weight."""
        states = self.states[member]
        return [
            {"step": self.step.clone()} | {name: each[number].clone() for name, each in states.items()}
            for number in range(len(self.weights[member]))
        ]


def members_of(stacked: Sequence[Tensor]) -> list[list[Tensor]]:
    """Views of each member's tensors in tensors (K, ...)."""
    return [list(each) for each in zip(*(tensor.detach().contiguous().unbind() for tensor in stacked), strict=True)]


StackedUpdate = StackedSGD | StackedAdam | StackedRMSprop
UPDATES: dict[type[Optimizer], type[StackedUpdate]] = {
    SGD: StackedSGD,
    Adam: StackedAdam,
    AdamW: StackedAdam,
    RMSprop: StackedRMSprop,
}


def stacked_update(weights: Sequence[Tensor], optimizers: Sequence[Optimizer]) -> StackedUpdate:
    """The update of these weights (K, ...) as the members' own optimizers, all of one class, would make it.

    Raises:
        NotStackableError: of the class or its settings there is none.
    """
    update = UPDATES.get(type(optimizers[0]))
    if update is None or any(type(each) is not type(optimizers[0]) for each in optimizers):
        raise NotStackableError(f"{type(optimizers[0]).__name__} has no update for a stack")
    groups = [each.param_groups[0] for each in optimizers]
    for name, idle in IDLE.items():
        if any(group.get(name, idle) != idle for group in groups):
            raise NotStackableError(f"optimizer.{name} has no update for a stack")
    return update(weights, groups)
