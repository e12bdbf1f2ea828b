"""How many members of a stack the memory holds."""

import sys
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from litlab.data.tensors import TensorData
from litlab.distributed.memory import available
from litlab.sweeps.stacks.member import Member, dtype_of, is_on_gpu
from litlab.tasks.base import Task

USED = 0.8  # of the memory that is free: the estimate leaves out what allocators and libraries take
COPIES = 3  # of what a layer gives: the value, its gradient, and what a product takes on the way


def fitting(config: DictConfig, processes: int) -> tuple[int, str]:
    """How many jobs like this one can be trained at once, by the memory that is free; and why, in words.

    Args:
        config: of one of the jobs.
        processes: how many share the memory.
    """
    member = Member(config)
    data: Any = member.data
    if not isinstance(data, TensorData):
        return sys.maxsize, "they have batches of their own"
    data.prepare_data()
    data.setup("fit")  # its splits take memory, and stay in it for the stack
    free = available()
    if free is None or is_on_gpu(config):
        return sys.maxsize, "the free memory is not known"
    size = member_bytes(member.task, data, dtype_of(config).itemsize)
    line = f"each takes about {size / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free"
    return members_that_fit(free / processes, size), line + f" for {processes} processes" * (processes > 1)


def members_that_fit(free: float, of_member: float) -> int:
    """The largest stack, at least one member.

    Args:
        free: bytes.
        of_member: bytes of each member.
    """
    return max(int(USED * free / of_member), 1)


def member_bytes(task: Task, data: TensorData, itemsize: int) -> int:
    """What a member takes at most, in bytes: its weights and all that is kept of each, and a batch in every layer.

    Args:
        task: of a member, as it is built; on the CPU.
        data: their shapes are known.
        itemsize: bytes of a weight.
    """
    weights = [weight.numel() for weight in task.model.parameters()]
    states = _states(task)
    # Its own, the stack's, the gradient, the optimizer's state; and both of the best and the latest epoch. An update
    # goes through the weights one by one, with a few copies of each.
    of_weights = sum(weights) * (3 + states + 2 * (1 + states)) + COPIES * max(weights, default=0)
    outputs = _outputs(task.model, data)
    training, evaluation = data.batch_size * sum(outputs), data.eval_batch_size * max(outputs)
    return itemsize * (of_weights + COPIES * max(training, evaluation))


def _states(task: Task) -> int:
    """The numbers that the optimizer keeps for each weight."""
    weight = nn.Parameter(torch.zeros(1))
    optimizer = task.make_optimizer([weight])
    weight.grad = torch.zeros(1)
    optimizer.step()
    return sum(isinstance(each, Tensor) and each.dim() > 0 for each in optimizer.state[weight].values())


@torch.no_grad()
def _outputs(model: nn.Module, data: TensorData) -> list[int]:
    """The numbers of one sample, and of what each innermost module makes of it."""
    inputs = torch.zeros(2, *data.input_shape, dtype=torch.float32 if data.num_tokens is None else torch.int64)
    found = [inputs.numel() // 2]

    def note(module: nn.Module, given: object, output: object) -> None:
        if isinstance(output, Tensor):
            found.append(output.numel() // 2)

    innermost = [each for each in model.modules() if not any(True for _ in each.children())]
    handles = [each.register_forward_hook(note) for each in innermost]
    training = model.training
    try:
        model.eval()(inputs)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return found
