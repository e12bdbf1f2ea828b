"""Warnings about data made to have each problem, and none about data without."""

import pytest
import torch
from omegaconf import OmegaConf

from litlab.data.tensors import Split, TensorData
from litlab.diagnostics.data_warnings import data_warnings
from litlab.verbs.describe import look

TARGET = {"_target_": "litlab.data.tensors.TensorData"}
GIVEN = {"normalize": False, "val_size": 0, "test_size": 0}  # what the YAML has
NUMBER = torch.linspace(-1, 1, 1500)


def warned(inputs, targets, test=None, classes=None, yaml=GIVEN, task=None, tokens=None, **settings):
    """Warnings about a training split; the test is another, if none is given."""

    class Given(TensorData):
        input_shape, class_names, num_tokens = tuple(inputs.shape[1:]), classes, tokens
        num_outputs = len(classes) if classes else targets[0].numel()

        def load(self):
            return Split(inputs, targets), test or Split(inputs[:5] + 0.001, targets[:5])

    data = Given(**settings)
    config = OmegaConf.create({"data": TARGET | yaml, "task": task or {}})
    return data_warnings(config, data, look(data, data.raw_splits()))


def clean(columns=3):
    return torch.randn(1500, columns, generator=torch.Generator().manual_seed(0))


def labels(*counts):
    return torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))


def test_clean_data_get_no_warning_and_refused_ones_no_other():
    assert warned(clean(), NUMBER, val_size=0.2) == []
    assert warned(clean(), labels(700, 800), classes=("no", "yes"), val_size=0.2) == []
    assert warned(clean(), labels(0, 100, 1400), classes=("no", "yes"), val_size=0.2) == [
        "training refuses these data: labels go from 1 to 2, but classes are 0 to 1: subtract 1 in load()"
    ]
    gaps = clean()[:5] + 0.001
    gaps[3, 1] = float("nan")
    assert warned(clean(), NUMBER, Split(gaps, NUMBER[:5] / 0), val_size=0.2) == [
        "training refuses these data: the test inputs hold NaN or infinite values in 1 of 5 samples (column 1); "
        "fix them in load()",
        "training refuses these data: the test targets hold NaN or infinite values in 5 of 5 samples; "
        "fix them in load()",
    ]


def test_remedies_are_proposed_as_one_types_them():
    class Whole(TensorData):
        input_shape, num_outputs = (3,), 1

        def load(self):
            return Split(clean(), NUMBER), None

    for yaml, typed in [(GIVEN, "data.test_size=0.2"), ({}, "+data.test_size=0.2")]:
        found = data_warnings(OmegaConf.create({"data": TARGET | yaml}), Whole(), look(Whole(), Whole().raw_splits()))
        assert f"training refuses these data: there is no test split; try {typed}" in found
    for yaml, typed in [(GIVEN, "data.normalize=true"), ({"val_size": 0.2}, "+data.normalize=true")]:
        inputs = clean() * torch.tensor([1.0, 1.0, 500.0])
        (warning,) = warned(inputs, NUMBER, yaml=yaml, val_size=0.2)
        assert warning == f"the inputs are on very different or extreme scales (0.986 to 497): try {typed}"
        assert warned(inputs, NUMBER, normalize=True, val_size=0.2) == []
    for samples, proposed in [(5, False), (6, True)]:
        for yaml, typed in [(GIVEN, "data.val_size=0.1"), ({}, "+data.val_size=0.1")]:
            told = warned(clean()[:samples], NUMBER[:samples], yaml=yaml)
            assert (f"there is no validation split, so nothing can select weights: try {typed}" in told) is proposed
            assert any("data.val_size" in warning for warning in told) is proposed


TOKENS = torch.arange(1500).remainder(97).square().remainder(89).reshape(1500, 1) * torch.tensor([1, 50, 7])


def test_what_says_nothing_or_the_same_or_lies_far_off_is_told():
    inputs = clean()
    inputs[:, 1:] = 3.0
    assert warned(inputs, torch.full((1500,), 7.0), val_size=0.2) == [
        "constant: column 1, column 2; a model learns nothing from that, drop it in load()",
        "constant: target: y; there is nothing to predict, check load()",
    ]
    inputs, targets = clean(5), NUMBER.flip(0)
    inputs[:, 1] = inputs[:, 4] = inputs[:, 0]
    inputs[:, 3] = 2 * targets + 1
    assert warned(inputs, targets, val_size=0.2) == [
        "equal columns: column 0 = column 1 = column 4; keep one of each, drop the rest in load()",
        "column 3 gives the target away (the same up to scale and offset): drop it in load(), unless it is known "
        "before the target is",
    ]
    inputs = clean(1).expand(1500, 7)
    assert "equal columns: column 0 = column 1 = column 2 = column 3 = column 4 = ...;" in warned(inputs, targets)[0]
    inputs, targets = clean(), NUMBER.clone()
    inputs[700, 2], targets[7] = 500.0, 50.0
    (warning,) = warned(inputs, targets, normalize=True)[:1]
    assert warning.startswith("outliers in column 2, target: y (column 2: mean 0.3")
    images = clean(4).reshape(1500, 1, 2, 2)
    images[0, 0, 0, 0] = 500.0  # a pixel is no column
    assert "outliers in target: y (target: y: mean" in warned(images, targets, normalize=True)[0]
    for normalize in [False, True]:
        rare, classes = torch.zeros(1500), torch.arange(1500.0).remainder(21)
        rare[::100] = 1
        inputs = torch.stack((rare, classes, 1 - rare, NUMBER), dim=1)
        assert (
            warned(inputs, NUMBER.flip(0), normalize=normalize, val_size=0.2)[:-1] == []
        )  # the last: column 3 is the target
    inputs, told = TOKENS.clone(), "try num_tokens = 4401 in their class if they are tokens, "
    (warning,) = [each for each in warned(inputs, NUMBER, val_size=0.2) if "scales" in each]
    assert warning.endswith(f"): {told}data.normalize=true")
    inputs[0, 0] = 4400**2
    told = told.replace("4401", "19360001")
    (warning,) = [each for each in warned(inputs, NUMBER, normalize=True, val_size=0.2) if "outliers" in each]
    assert f"=true keeps: {told}the logarithm or clipping in load(), trainer.gradient_clip_val=1" in warning
    test = Split(inputs[:5], NUMBER[:5])
    declared = warned(inputs, NUMBER, test, tokens=4400**2 + 1, val_size=0.2)
    assert all("repeat the inputs" in each or "training split too" in each for each in declared)


@pytest.mark.parametrize(
    ("targets", "sizes"),
    [
        (NUMBER * 2e6, "around 1.16e+06"),
        (NUMBER * 1e-5, "around 5.81e-06"),
        (torch.stack((NUMBER, 1e6 * NUMBER), dim=1), "0.581 to 5.81e+05"),
        (NUMBER + 170, ""),
        (torch.stack((NUMBER, 5 * NUMBER), dim=1), ""),
    ],
)
@pytest.mark.parametrize(
    ("task", "remedy"),
    [
        ({}, "scaling them in load()"),
        ({"standardize_targets": False}, "task.standardize_targets=true"),
        ({"standardize_targets": True}, ""),  # it is done inside
    ],
)
def test_targets_of_bad_scale_are_found(targets, sizes, task, remedy):
    told = f"the targets are on very different or extreme scales ({sizes}), which data.normalize keeps: try {remedy}"
    assert warned(clean(), targets, task=task, val_size=0.2) == ([told] if sizes and remedy else [])


def test_repeated_few_or_bad_samples_are_told():
    (warning, _) = warned(clean()[:40], NUMBER[::38], normalize=True)
    assert warning == (
        "only 40 training samples: results depend on the seed and the split: try several seeds (-m seed=0,1,2)"
    )
    inputs, targets = clean(), labels(700, 800)
    inputs[1], inputs[2], inputs[1499] = inputs[0], inputs[0], inputs[3]
    test = Split(inputs[:3], targets[:3])
    assert warned(inputs, targets, test, classes=("no", "yes"), normalize=True)[:3] == [
        "2 of 1,500 training samples have the same inputs as one of another class: no model gets all of them right",
        "3 of 1,500 training samples repeat the inputs of another",
        "3 of 3 test samples have inputs that are in the training split too: the test metrics are too good",
    ]
    assert of_classes(3, 3, 0) == ["no training samples of 'c': the model cannot learn it"]
    assert of_classes(700, 0, 0) == ["all training samples are of 'a': there is nothing to distinguish, check load()"]
    missing, balance = of_classes(8, 1, 0)
    assert missing == "no training samples of 'c': the model cannot learn it"
    assert balance == (
        "imbalanced classes (8 samples of 'a', 1 of 'b'), where F1 tells more than accuracy: try "
        "task.class_weights=balanced"
    )
    for monitor, settings, together in [
        ("val/accuracy", {"val_size": 0.2}, " task.monitor=val/f1"),
        ("val/auroc", {"val_size": 0.2}, ""),  # that selects well already
        ("val/accuracy", {"val_size": 0}, ""),  # there is nothing to monitor
    ]:
        (warning,) = of_classes(700, 700, 100, monitor=monitor, **settings)
        assert warning.endswith(f", where F1 tells more than accuracy: try task.class_weights=balanced{together}")
    images = clean(90).reshape(1500, 3, 6, 5)
    assert warned(images, NUMBER, val_size=0.2) == [
        "neighbouring pixels belong together: model=cnn makes use of that, model=mlp does not"
    ]
    assert warned(images.permute(0, 2, 3, 1), NUMBER, val_size=0.2) == [
        "input_shape = (6, 5, 3) looks like height x width x channels, but channels come first: "
        "permute(0, 3, 1, 2) in load(), and input_shape = (3, 6, 5)"
    ]


def of_classes(*counts, monitor="val/accuracy", **settings):
    """Warnings about samples of the classes a, b and c that speak of the classes."""
    task = {"monitor": monitor, "class_weights": None}
    given = warned(clean()[: sum(counts)], labels(*counts), classes=("a", "b", "c"), task=task, **settings)
    return [warning for warning in given if not warning.startswith(("only", "there is no validation"))]
