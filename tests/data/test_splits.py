"""What training refuses that describe shows, and what is carved from a split."""

from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from litlab.config.checks import check
from litlab.data.splits import Split, carve, faults, some
from litlab.data.tensors import TensorData
from litlab.errors import RequestError

X = torch.arange(12.0).reshape(6, 2)
LABELS = torch.tensor([0, 1, 0, 1, 0, 1])
VALUES = torch.linspace(0, 1, 6)


class Given(TensorData):
    """Two columns; load() gives what the test wants."""

    input_shape, num_outputs = (2,), 1

    def __init__(self, train: Split, test: Split | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.given = train, test

    def load(self) -> tuple[Split, Split | None]:
        return self.given


class Classes(Given):
    num_outputs = 2
    class_names = ("no", "yes")


def told(data: TensorData) -> str:
    """The one line that training shows."""
    with pytest.raises(RequestError) as error:
        data.setup()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_gaps_and_labels_outside_are_for_setup_to_refuse():
    gaps = X.clone()
    gaps[1, 1] = float("nan")
    data = Classes(Split(gaps, LABELS), Split(X, LABELS + 1))
    splits = data.raw_splits()
    assert splits["train"].inputs.isnan().sum() == 1 and splits["test"].targets.max() == 2
    assert told(data) == (
        "data=Classes: the train inputs hold NaN or infinite values in 1 of 6 samples (column 1); mend them in load() "
        "(scripts/describe.py shows 1 more)"
    )


def test_the_columns_with_gaps_are_named(monkeypatch):
    monkeypatch.setattr(Given, "feature_names", ("height", "width"))
    gaps = torch.full_like(X, float("inf"))
    assert told(Given(Split(X, VALUES), Split(gaps, VALUES))) == (
        "data=Given: the test inputs hold NaN or infinite values in 6 of 6 samples (height, width); mend them in load()"
    )


def test_targets_with_gaps_are_told():
    assert told(Given(Split(X, VALUES.log()), Split(X, VALUES))) == (
        "data=Given: the train targets hold NaN or infinite values in 1 of 6 samples; mend them in load()"
    )


def test_large_values_are_finite_though_their_sum_is_not():
    rows = Split(torch.full_like(X, 3e38), VALUES)
    assert list(faults(Given(rows), {"train": rows})) == []


def test_pixels_with_gaps_are_told(monkeypatch):
    monkeypatch.setattr(Given, "input_shape", (1, 2, 1))
    images = X.reshape(6, 1, 2, 1)
    gaps = images.clone()
    gaps[4:] = float("-inf")
    assert told(Given(Split(images, VALUES), Split(gaps, VALUES))) == (
        "data=Given: the test inputs hold NaN or infinite values in 2 of 6 samples; mend them in load()"
    )


def test_all_faults_are_found_in_all_splits():
    gaps = X.clone()
    gaps[1, 1] = float("nan")
    train, val, test = Split(X, LABELS), Split(gaps, LABELS), Split(X, LABELS + 4)
    assert list(faults(Classes(train), {"train": train, "val": val, "test": test})) == [
        "the val inputs hold NaN or infinite values in 1 of 6 samples (column 1); mend them in load()",
        "labels outside the classes 0 to 1: 6 of 6 in the test split, such as 4; mend load() or class_names",
    ]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (LABELS + 1, "labels go from 1 to 2, and classes are 0 to 1: subtract 1 in load()"),
        (LABELS + 7, "labels go from 7 to 8, and classes are 0 to 1: subtract 7 in load()"),
        (
            0 * LABELS + 5,  # of one class alone nobody knows from where they are counted
            "labels outside the classes 0 to 1: 6 of 6 in the train split, such as 5; mend load() or class_names "
            "(scripts/describe.py shows 1 more)",
        ),
        (LABELS - 1, "labels go from -1 to 0, and classes are 0 to 1: add 1 in load()"),
        (
            2 * LABELS - 1,
            "labels outside the classes 0 to 1: 3 of 6 in the train split, such as -1; mend load() or class_names "
            "(scripts/describe.py shows 1 more)",
        ),
    ],
)
def test_labels_outside_are_told(labels, said):
    assert told(Classes(Split(X, labels), Split(X, labels))) == f"data=Classes: {said}"


def test_labels_from_1_are_those_of_all_splits():
    both, one = Split(X, LABELS + 1), Split(X[:1], LABELS[1:2] + 1)  # of the class 2 alone
    assert list(faults(Classes(both), {"train": both, "test": one})) == [
        "labels go from 1 to 2, and classes are 0 to 1: subtract 1 in load()"
    ]


@pytest.mark.parametrize(
    ("count", "said"),
    [(5, "a0, a1, a2, a3, a4"), (6, "a0, a1, a2, a3, a4 and 1 more"), (7, "a0, a1, a2, a3, a4 and 2 more")],
)
def test_names_are_the_first_ones(count, said):
    assert some([f"a{number}" for number in range(count)]) == said


# ---- carving


@pytest.mark.parametrize("setting", ["val_size", "test_size"])
@pytest.mark.parametrize(("samples", "share"), [(3, 0.1), (5, 0.1), (6, 0.01)])
def test_a_share_that_is_no_sample_is_refused(setting, samples, share):
    data = Given(Split(X[:samples], VALUES[:samples]), **{setting: share})
    assert told(data) == f"data.{setting}={share}: of {samples} samples that is none; take a whole number, such as 1"


@pytest.mark.parametrize("size", [0.2, 1, 3])
@pytest.mark.parametrize(("setting", "otherwise"), [("test_size", "load() must give more"), ("val_size", "take 0")])
def test_one_sample_cannot_be_split(setting, otherwise, size):
    data = Given(Split(X[:1], VALUES[:1]), **{setting: size})
    assert told(data) == f"data.{setting}={size}: 1 sample cannot be split; {otherwise}"


@pytest.mark.parametrize("size", [1, 0.5])
def test_two_samples_can_be_split(size):
    kept, carved = carve(Split(X[:2], VALUES[:2]), size, "val_size", seed=0)
    assert sorted([kept.targets.tolist(), carved.targets.tolist()]) == [VALUES[:1].tolist(), VALUES[1:2].tolist()]


@pytest.mark.parametrize(("samples", "size"), [(6, 6), (6, 1.0), (6, 1.5), (2, 2)])
def test_what_leaves_nothing_is_refused(samples, size):
    assert told(Given(Split(X[:samples], VALUES[:samples]), test_size=size)) == (
        f"data.test_size={size}: must leave something of {samples} samples; try 1"
    )


@pytest.mark.parametrize("size", [0, 0.0])
def test_without_a_test_split_there_is_no_training(size):
    data = Given(Split(X, VALUES), test_size=size)
    assert told(data) == f"data.test_size={size}: there is no test split then; try 0.2"


@pytest.mark.parametrize("setting", ["data.val_size", "data.test_size"])
def test_a_size_is_a_share_below_one_or_whole(setting):
    group, name = setting.split(".")
    digits = {"_target_": "litlab.data.digits.Digits"}
    for right in (0, 0.0, 0.1, 0.999, 1, 5000):
        check(OmegaConf.create({group: digits | {name: right}}))
    example = {"val_size": 0.1, "test_size": 0.2}[name]
    for wrong in (1.0, 1.5, -0.1, -1, float("nan"), True, "a"):
        with pytest.raises(RequestError) as error:
            check(OmegaConf.create({group: digits | {name: wrong}}))
        assert str(error.value) == (
            f"{setting}={wrong}: must be a share below 1, such as {example}, or a whole number of samples"
        )


# ---- normalizing


@pytest.mark.parametrize("same", [False, True])
def test_normalizing_leaves_what_load_gave(same):
    kept = X.clone()
    rows = Split(kept, VALUES)
    for _ in range(2):  # load() may give the same tensors to two jobs of a sweep
        data = Given(rows, rows if same else None, normalize=True, test_on_train=True)
        data.setup()
        assert torch.equal(kept, X)
        for part in ("train", "test"):
            torch.testing.assert_close(data.splits[part].inputs.mean(0), torch.zeros(2))
            torch.testing.assert_close(data.splits[part].inputs.std(0, correction=0), torch.ones(2))


@pytest.mark.parametrize("kind", [Classes, Given])
def test_folds_part_the_training_split(kind):
    inputs = torch.arange(30.0).reshape(30, 1).repeat(1, 2)
    labels = (torch.arange(30) % 3 == 0).long()  # 10 of class 1
    split = Split(inputs, labels if kind is Classes else inputs[:, 0])
    held_out = []
    for fold in range(5):
        data = kind(split, Split(X, LABELS), folds=5, fold=fold, val_size=3)
        data.setup()
        train, val, test = (data.splits[part] for part in ("train", "val", "test"))
        assert (len(train.inputs), len(val.inputs), len(test.inputs)) == (24, 6, 6)  # the official test stays out
        assert kind is Given or int(val.targets.sum()) == 2  # stratified
        assert set(train.inputs[:, 0].tolist()) == set(range(30)) - set(val.inputs[:, 0].tolist())
        held_out += val.inputs[:, 0].tolist()
    assert data.has_validation
    assert sorted(held_out) == list(range(30)) and held_out != sorted(held_out)
    again = kind(split, Split(X, LABELS), folds=5, fold=4, split_seed=1)
    again.setup()
    assert set(again.splits["val"].inputs[:, 0].tolist()) != set(val.inputs[:, 0].tolist())


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Given, {"fold": 1}, "data.fold=1: needs the number of folds, as in data.folds=5"),
        (Given, {"folds": 5, "fold": 5}, "data.fold=5: with data.folds=5 it must be 0 to 4"),
        (Given, {"folds": 7}, "data.folds=7: must be from 2 to the number of samples"),
        (Given, {"folds": 1}, "data.folds=1: must be from 2 to the number of samples"),
        (Classes, {"folds": 4}, "data.folds=4: must be from 2 to the number of samples of each class"),
    ],
)
def test_folds_that_cannot_be(kind, settings, message):
    with pytest.raises(RequestError) as error:
        kind(Split(X, LABELS if kind is Classes else VALUES), Split(X, LABELS), **settings).setup()
    assert str(error.value) == message
