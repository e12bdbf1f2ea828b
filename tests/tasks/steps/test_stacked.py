"""Stacked networks, losses and updates against their members, one by one."""

import pytest
import torch
from torch import nn

from litlab.models.cnn import CNN
from litlab.models.mlp import MLP
from litlab.tasks.steps.stacked import NARROW, NotStackableError, StackedNetwork
from litlab.tasks.steps.stacked_updates import StackedClipping, stacked_update

SGD, ADAM, ADAMW, RMSPROP = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop
NESTEROV = {"momentum": 0.9, "nesterov": True}


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        (SGD, ({"lr": 0.1}, {"lr": 0.3, "weight_decay": 0.1})),
        (SGD, ({"lr": 0.1, "momentum": 0.9}, {"lr": 0.3, "momentum": 0.5})),
        (SGD, ({"lr": 0.1, "momentum": 0.9, "maximize": True}, {"lr": 0.3})),
        (SGD, ({"lr": 0.1, **NESTEROV}, {"lr": 0.3, **NESTEROV, "weight_decay": 0.1})),
        (ADAM, ({"lr": 0.1}, {"lr": 0.01, "betas": (0.8, 0.99), "weight_decay": 0.1, "eps": 1e-3})),
        (ADAMW, ({"lr": 0.1}, {"lr": 0.01, "betas": (0.8, 0.99), "weight_decay": 0.1})),
        (RMSPROP, ({"lr": 0.1}, {"lr": 0.01, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.9})),
        (RMSPROP, ({"lr": 0.1, "centered": True}, {"lr": 0.01, "centered": True, "momentum": 0.5, "maximize": True})),
    ],
)
@pytest.mark.parametrize("clip", [("norm", (0.5, None)), ("value", (0.1, 0.3))])
def test_an_update_is_torchs_of_each_member(optimizer, settings, clip):
    torch.manual_seed(0)
    members = [
        [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in ((5, 3), (5,))] for _ in settings
    ]
    stack = [torch.stack([member[number].detach() for member in members]) for number in range(2)]
    optimizers = [optimizer(member, **each) for member, each in zip(members, settings, strict=True)]
    update = stacked_update(stack, optimizers)
    clipping = StackedClipping(clip[1], clip[0], stack[0])
    cut = nn.utils.clip_grad_norm_ if clip[0] == "norm" else nn.utils.clip_grad_value_
    for _ in range(19):
        gradients = [torch.randn_like(weight) for weight in stack]
        constants = [update.constants(each.param_groups[0]) for each in optimizers]
        for number, (weights, each) in enumerate(zip(members, optimizers, strict=True)):
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient[number].clone()
            if limit := clip[1][number]:
                cut(weights, limit)
            each.step()
        clipping(gradients)
        update(gradients, constants)
    for number, (weights, each) in enumerate(zip(members, optimizers, strict=True)):
        kept = [dict(each.state[weight]) for weight in weights] if each.state else []
        for weight, whole in zip(weights, stack, strict=True):
            torch.testing.assert_close(whole[number], weight.detach(), rtol=0, atol=1e-12)
        torch.testing.assert_close(update.state(number), kept, rtol=0, atol=1e-12, check_dtype=False)


@pytest.mark.parametrize(
    ("optimizer", "more"), [(SGD, {"momentum": 0.9}), (SGD, {}), (ADAM, {}), (ADAMW, {}), (RMSPROP, {"momentum": 0.9})]
)
def test_members_that_go_on_as_a_smaller_stack_take_their_state_along(optimizer, more):
    optimizers = [optimizer([nn.Parameter(torch.zeros(1))], lr=rate, **more) for rate in (0.1, 0.2, 0.3)]
    weight = torch.randn(3, 4, dtype=torch.float64)
    gradients = torch.randn(4, 3, 4, dtype=torch.float64)

    def run(update, members, steps):
        for step in steps:
            constants = [update.constants(optimizers[number].param_groups[0]) for number in members]
            update([gradients[step, members]], constants)

    whole = weight.clone()
    run(stacked_update([whole], optimizers), [0, 1, 2], range(4))
    stack = weight.clone()
    update = stacked_update([stack], optimizers)
    run(update, [0, 1, 2], range(2))
    smaller = stack[[0, 2]].clone()
    after = stacked_update([smaller], [optimizers[0], optimizers[2]])
    after.take(update, [0, 2])
    run(after, [0, 2], range(2, 4))
    assert torch.equal(smaller, whole[[0, 2]])


@pytest.mark.parametrize(
    ("optimizers", "why"),
    [
        ((SGD, {"lr": 0.1, "dampening": 0.1}, {"lr": 0.1}), "optimizer.dampening has no update for a stack"),
        ((torch.optim.Adagrad, {"lr": 0.1}), "Adagrad has no update for a stack"),
    ],
)
def test_an_optimizer_that_cannot_be_stacked_is_refused(optimizers, why):
    kind, *settings = optimizers
    made = [kind([nn.Parameter(torch.zeros(1))], **each) for each in settings]
    with pytest.raises(NotStackableError, match=why):
        stacked_update([torch.zeros(len(made), 1)], made)


class Odd(nn.Module):
    """A user's own, which only vmap can stack."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(3))

    def forward(self, inputs):
        return (inputs * self.scale).cumsum(1)


class Trained(nn.Module):
    """Another function in training than outside of it, but for a part that is never in training."""

    def __init__(self):
        super().__init__()
        self.scale, self.frozen = nn.Parameter(torch.randn(3)), nn.Identity().eval()

    def forward(self, inputs):
        return inputs * self.scale + (2 if self.training else 1) + (4 if self.frozen.training else 3)


class Drawn(nn.Module):
    """With a random number of its own, which is not a weight."""

    def __init__(self):
        super().__init__()
        self.scale, self.features = nn.Parameter(torch.randn(3)), torch.randn(3)

    def forward(self, inputs):
        return inputs * self.scale * self.features


class Learned(nn.Module):
    """One that `Task.setup` gives the training split's inputs."""

    def learn_inputs(self, inputs):
        """Whatever it makes of them."""


class Noisy(Drawn):
    """One that draws in each step."""

    def __init__(self):
        super().__init__()
        self.features = torch.ones(3)

    def forward(self, inputs):
        return super().forward(inputs + torch.randn_like(inputs))


def with_one_activation(**settings):
    activation = nn.ELU(**settings)  # in two places
    return nn.Sequential(nn.Linear(3, 4), activation, nn.Linear(4, 4), activation, nn.Linear(4, 2))


def with_one_layer():
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.Tanh(), layer)


def with_a_hook(register):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    register(model[0])
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda: MLP((3,), 2, [5, 4], "GELU"),
        with_one_activation,
        lambda: with_one_activation(inplace=True),
        lambda: nn.Sequential(nn.Unflatten(1, (3, 1)), nn.Linear(1, 4), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2)),
        lambda: nn.Sequential(Trained(), nn.Linear(3, 2)),
        lambda: MLP((3,), 2, [NARROW]),
        lambda: MLP((1, 3), 1, [], "ReLU"),
        lambda: nn.Sequential(nn.Linear(3, 5, bias=False), nn.Tanh(), nn.Linear(5, 3), Odd()),
        lambda: nn.Sequential(Odd(), nn.Softmax(-1), nn.Linear(3, 2)),
    ],
)
@pytest.mark.parametrize("batches", [1, 2, 4])
def test_a_stack_gives_what_each_member_gives(make, batches):
    torch.manual_seed(0)
    models = [make().double() for _ in range(4)]
    network = StackedNetwork(models, [])
    shape = (1, 3) if isinstance(models[0], MLP) and len(list(models[0].parameters())) == 2 else (3,)
    inputs = torch.randn(batches, 6, *shape, dtype=torch.float64)
    outputs = network(inputs)
    outputs.square().sum().backward()
    for number, model in enumerate(models):
        alone = model(inputs[number * batches // 4])
        torch.testing.assert_close(outputs[number], alone, rtol=0, atol=1e-12)
        alone.square().sum().backward()
        for name, weight in model.named_parameters():
            torch.testing.assert_close(network.weights[name].grad[number], weight.grad, rtol=0, atol=1e-12)


def test_a_users_module_is_in_training_only_in_training():
    models = [nn.Sequential(Trained()) for _ in range(3)]
    network, inputs = StackedNetwork(models, []), torch.randn(1, 6, 3)
    for network.training, offset in ((True, 5), (False, 4), (True, 5)):
        scales = torch.stack([model[0].scale for model in models])
        torch.testing.assert_close(network(inputs), inputs * scales.unsqueeze(1) + offset)


@pytest.mark.parametrize("batches", [1, 2, 4])
def test_gradients_lie_in_memory_as_their_weights(batches):
    network = StackedNetwork([MLP((3,), 2, [5, 4]) for _ in range(4)], [])  # else an update takes longer than a step
    gradients = torch.autograd.grad(network(torch.randn(batches, 6, 3)).sum(), list(network.trained.values()))
    assert [each.stride() for each in gradients] == [each.stride() for each in network.trained.values()]


def test_dropout_is_that_of_each_members_own_stream():
    models = [nn.Sequential(nn.Dropout(0.0), MLP((3,), 2, [50], dropout=rate)) for rate in (0.5, 0.5, 0.2)]
    seeds = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    network = StackedNetwork(models, [seeds[0], seeds[0], seeds[1]])
    inputs = torch.randn(1, 6, 3)
    first, second = network(inputs), network(inputs)
    for number, (model, seed) in enumerate(zip(models, (1, 1, 2), strict=True)):
        torch.manual_seed(seed)
        torch.testing.assert_close(first[number], model(inputs[0]))
        torch.testing.assert_close(second[number], model(inputs[0]))
    network.training = False
    torch.testing.assert_close(network(inputs)[2], models[2].eval()(inputs[0]))


@pytest.mark.parametrize(
    ("models", "why"),
    [
        ([MLP((3,), 2, [4]), MLP((3,), 2, [5])], "its weights have other shapes"),
        ([MLP((3,), 2, [4]), MLP((3,), 2, [4], "Tanh")], "its layers are others"),
        ([MLP((3,), 2, [4], dropout=0.1), MLP((3,), 2, [4])], "its weights have other shapes"),
        ([nn.BatchNorm1d(3)], "BatchNorm1d cannot be stacked"),
        ([CNN((1, 8, 8), 2, [4], batch_norm=False)], "Conv2d would not be faster in a stack"),
        ([Drawn(), Drawn()], "Drawn has other features in each job"),
        ([nn.Sequential(nn.LeakyReLU(slope)) for slope in (0.1, 0.2)], "LeakyReLU has other negative_slope in each"),
        ([Learned()], "Learned learns from the inputs before training"),
        ([with_one_layer()], "its layers share weights"),
        ([with_a_hook(lambda each: each.register_forward_hook(print))], "it has hooks"),
        ([with_a_hook(lambda each: each.register_forward_pre_hook(print))], "it has hooks"),
        ([with_a_hook(lambda each: each.register_full_backward_hook(print))], "it has hooks"),
        ([with_a_hook(lambda each: each.weight.register_hook(print))], "it has hooks"),
        ([with_a_hook(lambda each: each.weight.register_post_accumulate_grad_hook(print))], "it has hooks"),
    ],
)
def test_a_network_that_cannot_be_stacked_is_refused(models, why):
    with pytest.raises(NotStackableError, match=why):
        StackedNetwork(models, [torch.Generator()] * len(models))


def test_a_module_that_vmap_does_not_take_is_refused_with_its_reason():
    network = StackedNetwork([Noisy(), Noisy()], [])
    with pytest.raises(NotStackableError, match="Noisy cannot be stacked: vmap: called random operation while"):
        network(torch.randn(1, 6, 3))
