"""The updates of K stacked networks, with settings per member, which torch's own optimizers refuse.

Elementwise, in the order of torch's single-tensor versions: in float32 SGD gives their bits.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from litlab.tasks.steps.stacked import NotStackableError

# Settings of torch's optimizers that a stack does not have, at the values at which they do nothing.
IDLE: dict[str, Any] = {
    "dampening": 0,
    "maximize": False,
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
    """torch.optim.SGD.

    Args:
        weights: (K, ...) each; updated in place.
        groups: the parameter group of each member's optimizer.
    """

    def __init__(self, weights: Sequence[Tensor], groups: Sequence[Mapping[str, Any]]) -> None:
        self.weights, self.nesterov = weights, groups[0]["nesterov"]
        self.has_momentum = groups[0]["momentum"] != 0
        self.has_decay = any(group["weight_decay"] != 0 for group in groups)
        self.buffers: list[Tensor] = []
        if any((group["momentum"] != 0, group["nesterov"]) != (self.has_momentum, self.nesterov) for group in groups):
            raise NotStackableError("only some have momentum")

    @staticmethod
    def constants(group: Mapping[str, Any], step: int) -> tuple[float, ...]:
        """The constants of a member's step, counted from 1."""
        return group["lr"], group["momentum"], group["weight_decay"]

    @torch.no_grad()
    def __call__(self, gradients: Sequence[Tensor], constants: Tensor) -> None:
        """Update the weights by the gradients (K, ...); constants (3, K), of the weights' dtype."""
        rate, momentum, decay = constants
        if self.has_momentum and not self.buffers:
            self.buffers = [torch.zeros_like(weight) for weight in self.weights]
        for number, (weight, gradient) in enumerate(zip(self.weights, gradients, strict=True)):
            if self.has_decay:
                gradient = torch.addcmul(gradient, weight, per_member(decay, weight))
            if self.has_momentum:
                buffer = self.buffers[number].mul_(per_member(momentum, weight)).add_(gradient)
                gradient = torch.addcmul(gradient, buffer, per_member(momentum, weight)) if self.nesterov else buffer
            weight.addcmul_(gradient, per_member(rate, weight), value=-1)

    def take(self, other: "StackedSGD", members: Tensor) -> None:
        """Take over the state of these members (indices) of a larger stack."""
        self.buffers = [buffer[members] for buffer in other.buffers]

    def state(self, member: int) -> list[dict[str, Tensor]]:
        """A copy of what the member's own optimizer would keep for each weight."""
        return [{"momentum_buffer": buffer[member].clone()} for buffer in self.buffers]


class StackedAdam:
    """torch.optim.Adam and AdamW.

    Args:
        weights: (K, ...) each; updated in place.
        groups: the parameter group of each member's optimizer.
    """

    def __init__(self, weights: Sequence[Tensor], groups: Sequence[Mapping[str, Any]]) -> None:
        self.weights = weights
        self.is_decoupled = groups[0]["decoupled_weight_decay"]
        self.has_decay = any(group["weight_decay"] != 0 for group in groups)
        self.steps = 0
        self.means = [torch.zeros_like(weight) for weight in weights]
        self.squares = [torch.zeros_like(weight) for weight in weights]
        if len({group["eps"] for group in groups}) > 1:
            raise NotStackableError("its eps is another")
        self.eps = groups[0]["eps"]

    @staticmethod
    def constants(group: Mapping[str, Any], step: int) -> tuple[float, ...]:
        """The constants of a member's step, counted from 1."""
        (beta1, beta2), rate, decay = group["betas"], group["lr"], group["weight_decay"]
        size, root = rate / (1 - beta1**step), (1 - beta2**step) ** 0.5
        return 1 - beta1, beta2, 1 - beta2, size, root, 1 - rate * decay if group["decoupled_weight_decay"] else decay

    @torch.no_grad()
    def __call__(self, gradients: Sequence[Tensor], constants: Tensor) -> None:
        """Update the weights by the gradients (K, ...); constants (6, K), of the weights' dtype."""
        self.steps += 1
        states = zip(self.weights, gradients, self.means, self.squares, strict=True)
        for weight, gradient, mean, square in states:
            share, keep, add, size, root, decay = (per_member(values, weight) for values in constants)
            if self.has_decay and self.is_decoupled:
                weight.mul_(decay)
            elif self.has_decay:
                gradient = torch.addcmul(gradient, weight, decay)
            mean.lerp_(gradient, share.expand_as(mean))
            square.mul_(keep).add_(gradient.square().mul_(add))
            weight.addcdiv_(mean * size, (square.sqrt() / root).add_(self.eps), value=-1)

    def take(self, other: "StackedAdam", members: Tensor) -> None:
        """Take over the state of these members (indices) of a larger stack."""
        self.steps = other.steps
        self.means = [mean[members] for mean in other.means]
        self.squares = [square[members] for square in other.squares]

    def state(self, member: int) -> list[dict[str, Tensor]]:
        """A copy of what the member's own optimizer would keep for each weight."""
        moments = zip(self.means, self.squares, strict=True)
        steps = torch.tensor(float(self.steps), dtype=self.weights[0].dtype)
        return [
            {"step": steps.clone(), "exp_avg": mean[member].clone(), "exp_avg_sq": square[member].clone()}
            for mean, square in moments
        ]


class StackedRMSprop:
    """torch.optim.RMSprop.

    Args:
        weights: (K, ...) each; updated in place.
        groups: the parameter group of each member's optimizer.
    """

    def __init__(self, weights: Sequence[Tensor], groups: Sequence[Mapping[str, Any]]) -> None:
        self.weights, self.eps = weights, groups[0]["eps"]
        self.has_decay = any(group["weight_decay"] != 0 for group in groups)
        same = [(group["momentum"] > 0, group["centered"], group["eps"]) for group in groups]
        if len(set(same)) > 1:
            raise NotStackableError("only some have momentum, or are centered, or its eps is another")
        self.steps = 0
        names = ("square_avg", *["momentum_buffer"] * same[0][0], *["grad_avg"] * same[0][1])
        self.states = {name: [torch.zeros_like(weight) for weight in weights] for name in names}

    @staticmethod
    def constants(group: Mapping[str, Any], step: int) -> tuple[float, ...]:
        """The constants of a member's step, counted from 1."""
        return group["lr"], group["alpha"], 1 - group["alpha"], group["momentum"], group["weight_decay"]

    @torch.no_grad()
    def __call__(self, gradients: Sequence[Tensor], constants: Tensor) -> None:
        """Update the weights by the gradients (K, ...); constants (5, K), of the weights' dtype."""
        self.steps += 1
        for number, (weight, gradient) in enumerate(zip(self.weights, gradients, strict=True)):
            rate, keep, add, momentum, decay = (per_member(values, weight) for values in constants)
            state = {name: tensors[number] for name, tensors in self.states.items()}
            if self.has_decay:
                gradient = torch.addcmul(gradient, weight, decay)
            mean = state["square_avg"].mul_(keep).add_(gradient.square().mul_(add))
            if "grad_avg" in state:
                centre = state["grad_avg"].lerp_(gradient, add.expand_as(gradient))
                mean = mean.addcmul(centre, centre, value=-1)
            root = mean.sqrt().add_(self.eps)
            if "momentum_buffer" in state:
                buffer = state["momentum_buffer"].mul_(momentum).addcdiv_(gradient, root)
                weight.addcmul_(buffer, rate, value=-1)
            else:
                weight.addcdiv_(gradient * rate, root, value=-1)

    def take(self, other: "StackedRMSprop", members: Tensor) -> None:
        """Take over the state of these members (indices) of a larger stack."""
        self.steps = other.steps
        self.states = {name: [each[members] for each in tensors] for name, tensors in other.states.items()}

    def state(self, member: int) -> list[dict[str, Tensor]]:
        """A copy of what the member's own optimizer would keep for each weight."""
        steps = torch.tensor(float(self.steps), dtype=self.weights[0].dtype)
        return [
            {"step": steps.clone()} | {name: tensors[number][member].clone() for name, tensors in self.states.items()}
            for number in range(len(self.weights))
        ]


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
