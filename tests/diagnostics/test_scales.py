"""Scales of inputs and targets: which are bad, and what comes before a learning rate."""

from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from litlab.data.splits import Split
from litlab.data.tensors import TensorData
from litlab.diagnostics.hints import after_divergence
from litlab.diagnostics.rules import Rule, bad_scales, scale_rule

WELL, LARGE, PRICES = [[1.0], [-1.0]], [[1.5, 1000.0], [0.5, 2000.0]], (150000.0, 350000.0)
BAD = "the inputs are on very different or extreme scales ({})"
DIVIDED = "dividing the targets by {} in load()"
WIDE, TOO_LARGE = BAD.format("1 to 1.5e+03"), "the targets are large (around 2.5e+05)"
TEN_TO_19 = DIVIDED.format("10,000,000,000,000,000,000")
CODES = [[1.0, 20.0, 1.1], [0.0, 0.0, -1.0], *[[0.0, 0.0, 1.0]] * 90]  # of scales that mean nothing
CHANNELS = torch.stack((torch.linspace(-1, 1, 50), 1000 * torch.linspace(-1, 1, 50)), dim=1).reshape(10, 5, 2)


def config(standardize=None, **settings):
    data = {"_target_": "litlab.data.tensors.TensorData"} | settings
    task = {} if standardize is None else {"standardize_targets": standardize}
    return OmegaConf.create({"data": data, "model": {}, "task": task, "trainer": {"gradient_clip_val": None}})


def loaded(inputs, targets=None, classes=None, tokens=None):
    class Loaded(TensorData):
        input_shape, num_outputs, class_names, num_tokens = torch.tensor(inputs).shape[1:], 1, classes, tokens

    data, inputs = Loaded(), torch.tensor(inputs)
    targets = torch.linspace(0, 1, len(inputs)) if targets is None else torch.tensor(targets)
    data.splits = {"train": Split(inputs, targets)}
    return data


def rows(*scales):
    return [{"mean": 0.0, "std": scale} for scale in scales]


def test_after_divergence_scales_come_first_if_they_are_bad():
    for scales, limit, found in [
        ([], 10, ""),
        ([1.0, 5.0], 10, ""),
        ([9.0], 10, ""),
        ([90.0], 100, ""),
        ([0.5, 1425.0], 10, "0.5 to 1.42e+03"),
        ([84.8, 83.0], 10, "around 84.8"),
        ([0.01], 10, "around 0.01"),
    ]:
        assert bad_scales(rows(*scales), limit) == found
    data = loaded(LARGE)
    data.normalize = True
    assert scale_rule(config(), data) == Rule(False, "")
    bad = after_divergence(config(normalize=False), loaded([[1e3], [2e3]]), 0.5)
    assert bad == f"{BAD.format('around 1.5e+03')}: try data.normalize=true"
    assert after_divergence(config(), loaded(WELL), 0.5) == (
        "try optimizer.lr=0.05 (or tune=lr, which finds one), trainer.gradient_clip_val=1, another loss, "
        "or check the data"
    )
    tuned = config()
    OmegaConf.update(tuned, "tune._target_", "litlab.verbs.tune.find_lr", force_add=True)
    tuned.trainer.gradient_clip_val = 1
    assert after_divergence(tuned, loaded(WELL), 0.5) == "try optimizer.lr=0.05, another loss, or check the data"


@pytest.mark.parametrize(
    ("settings", "data", "message", "remedies"),
    [
        ({"normalize": False}, loaded(LARGE), WIDE, ("data.normalize=true",)),
        ({}, loaded(LARGE), WIDE, ("+data.normalize=true",)),
        ({"normalize": False}, loaded(CHANNELS.tolist()), BAD.format("0.589 to 589"), ("data.normalize=true",)),
        ({}, loaded(WELL), "", ()),
        ({}, loaded([[7.0], [7.0]]), "", ()),  # all the same: nothing to normalize
        ({"normalize": False}, loaded(CODES), "", ()),
        ({"normalize": False}, loaded([[1, 1000], [0, 2000]], tokens=2001), "", ()),
        ({}, loaded(WELL, PRICES), TOO_LARGE, (DIVIDED.format("100,000"),)),
        ({}, loaded(LARGE, PRICES), f"{WIDE} and {TOO_LARGE}", ("+data.normalize=true", DIVIDED.format("100,000"))),
        ({}, loaded(WELL, (0, 999), classes=("a", "b")), "", ()),  # labels
        ({}, SimpleNamespace(), "", ()),  # foreign data
        # Standardized targets may be large, as long as float32 has room for their squares.
        ({"standardize": True}, loaded(WELL, PRICES), "", ()),
        ({"standardize": False}, loaded(WELL, PRICES), TOO_LARGE, ("task.standardize_targets=true",)),
        ({"standardize": True}, loaded(WELL, (0.0, 3e19)), TOO_LARGE.replace("2.5e+05", "1.5e+19"), (TEN_TO_19,)),
    ],
)
def test_a_problem_names_normalization_and_smaller_targets(settings, data, message, remedies):
    assert scale_rule(config(**settings), data) == Rule(bool(message), message, remedies)
