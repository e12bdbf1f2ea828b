"""What the splits are carved from, which statistics normalize them, and the loaders of a trainer."""

from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from litlab.config.checks import check
from litlab.data.digits import Digits
from litlab.data.loader import Chunks
from litlab.data.tensors import Split, TensorData
from litlab.errors import RequestError


class Table(TensorData):
    """100 samples of 3 columns, and 40 of a test split that looks quite different."""

    input_shape, num_outputs = (3,), 1

    def __init__(self, official_test=True, **settings):
        super().__init__(**settings)
        self.official_test = official_test

    def load(self):
        random = torch.Generator().manual_seed(1)
        inputs = torch.randn(100, 3, generator=random) * torch.tensor([1.0, 10.0, 0.0]) + torch.tensor([5.0, -3.0, 7.0])
        inputs[:, 2] = 7.0  # constant
        test = Split(torch.full((40, 3), 1000.0), torch.arange(40))
        return Split(inputs, torch.arange(100)), test if self.official_test else None


def loaded(data):
    data.setup()
    return data.splits


def refusal(data):
    with pytest.raises(RequestError) as error:
        data.setup()
    return str(error.value)


def ids(split):
    return set(split.targets.tolist())


def test_validation_is_carved_from_the_training_split_by_split_seed_alone():
    splits = loaded(Table(val_size=30))
    assert [len(splits[part].inputs) for part in ("train", "val", "test")] == [70, 30, 40]
    assert ids(splits["train"]) | ids(splits["val"]) == set(range(100))
    assert not ids(splits["train"]) & ids(splits["val"])
    assert splits["test"].targets.tolist() == list(range(40))
    raw, _ = Table().load()
    for part in ("train", "val"):
        assert torch.equal(splits[part].inputs, raw.inputs[splits[part].targets.long()])  # samples keep their targets
    one = loaded(Table(val_size=30))
    torch.manual_seed(7)
    assert torch.equal(one["val"].targets, loaded(Table(val_size=30))["val"].targets)
    assert ids(one["val"]) != ids(loaded(Table(val_size=30, split_seed=1))["val"])
    apart = loaded(Table(official_test=False, val_size=30, test_size=0.2))
    assert [len(apart[part].inputs) for part in ("train", "val", "test")] == [50, 30, 20]
    assert ids(apart["train"]) | ids(apart["val"]) | ids(apart["test"]) == set(range(100))
    # Another val_size leaves the test split as it is.
    assert ids(loaded(Table(official_test=False, val_size=10, test_size=0.2))["test"]) == ids(apart["test"])


def test_sizes_are_counts_or_fractions():
    for size, count in [(0.25, 25), (25, 25), (1, 1), (0, 0), (0.0, 0)]:
        assert len(loaded(Table(val_size=size))["val"].inputs) == count
    for size in [0, 0.0]:
        assert refusal(Rows(6, test_size=size)) == f"data.test_size={size}: that leaves no test split; try 0.2"
    for size in [1, 0.5]:
        splits = loaded(Rows(2, test_size=size))
        assert sorted([ids(splits["train"]), ids(splits["test"])], key=min) == [{0}, {1}]
    for name, example in [("val_size", 0.1), ("test_size", 0.2)]:
        digits = {"_target_": "litlab.data.digits.Digits"}
        for right in (0, 0.0, 0.1, 0.999, 1, 5000):
            check(OmegaConf.create({"data": digits | {name: right}}))
        for wrong in (1.0, 1.5, -0.1, -1, float("nan"), True, "a"):
            with pytest.raises(RequestError) as error:
                check(OmegaConf.create({"data": digits | {name: wrong}}))
            assert str(error.value) == (
                f"data.{name}={wrong}: must be a fraction below 1, such as {example}, or a whole number of samples"
            )


class Rows(TensorData):
    input_shape, num_outputs = (1,), 1

    def __init__(self, samples, **settings):
        super().__init__(**settings)
        self.samples = samples

    def load(self):
        return Split(torch.arange(float(self.samples)).unsqueeze(1), torch.arange(self.samples)), None


@pytest.mark.parametrize("setting", ["val_size", "test_size"])
@pytest.mark.parametrize(
    ("samples", "size", "problem"),
    [
        *((1, size, "cannot split {} sample; ") for size in (0.2, 1, 3)),
        *(
            (*case, "rounds to 0 of {} samples; set a whole number, such as 1")
            for case in ((3, 0.1), (5, 0.1), (6, 0.01))
        ),
        *((*case, "leaves nothing of {} samples; try 1") for case in ((6, 6), (6, 1.0), (6, 1.5), (2, 2))),
        *((100, size, "leaves nothing of {} samples; try 10") for size in (100, 1700, 0.999)),
    ],
)
def test_a_size_that_leaves_one_part_empty_is_refused(setting, samples, size, problem):
    otherwise = {"val_size": "set 0", "test_size": "load() must return more"}[setting] * (samples == 1)
    assert refusal(Rows(samples, **{setting: size})) == f"data.{setting}={size}: {problem.format(samples)}{otherwise}"


def test_normalization_knows_the_training_split_alone_and_leaves_the_tensors_of_load(monkeypatch):
    raw, _ = Table().load()
    splits = loaded(Table(val_size=30, normalize=True))
    kept = raw.inputs[splits["train"].targets.long()]
    mean, std = kept.mean(dim=0), kept.std(dim=0, correction=0)
    std[2] = 1  # the constant column
    for part in ("train", "val"):
        expected = (raw.inputs[splits[part].targets.long()] - mean) / std
        torch.testing.assert_close(splits[part].inputs, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(splits["test"].inputs, ((1000 - mean) / std).expand(40, 3), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(splits["train"].inputs.mean(dim=0), torch.zeros(3), rtol=0, atol=1e-5)
    assert splits["val"].inputs.mean(dim=0).abs().max() > 1e-3
    for official_test in [True, False]:
        rows = Split(torch.arange(12.0).reshape(4, 3), torch.arange(4))
        before, returned = rows.inputs.clone(), (rows, rows if official_test else None)
        monkeypatch.setattr(Table, "load", lambda self, returned=returned: returned)
        for _ in range(2):  # load() may return the same tensors to two jobs of a sweep
            splits = loaded(Table(normalize=True, test_on_train=True))
            assert torch.equal(rows.inputs, before)
            for part in ("train", "test"):
                torch.testing.assert_close(splits[part].inputs.mean(0), torch.zeros(3))
                torch.testing.assert_close(splits[part].inputs.std(0, correction=0), torch.ones(3))


def test_images_and_sequences_are_normalized_per_channel(monkeypatch):
    train = loaded(Digits(test_size=360, val_size=180, normalize=True))["train"].inputs
    assert train.shape == (1257, 1, 8, 8)
    assert train.mean().item() == pytest.approx(0, abs=1e-5)
    assert train.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert train[:, :, 0, 0].unique().numel() == 1  # not per pixel: a corner that is always black stays one value
    random = torch.Generator().manual_seed(0)
    series = torch.randn(100, 7, 2, generator=random) * torch.tensor([1.0, 50.0]) + torch.arange(7.0)[:, None]
    monkeypatch.setattr(Table, "load", lambda self: (Split(series, torch.arange(100)), None))
    monkeypatch.setattr(Table, "input_shape", (7, 2))
    train = loaded(Table(test_size=20, normalize=True))["train"].inputs
    torch.testing.assert_close(train.mean((0, 1)), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(train.std((0, 1), correction=0), torch.ones(2), rtol=1e-5, atol=0)
    assert train[:, 6, 0].mean() - train[:, 0, 0].mean() > 2  # what changes with time is there still


@pytest.mark.parametrize("is_classes", [True, False])
def test_folds_divide_the_training_split(monkeypatch, is_classes):
    inputs = torch.arange(30.0).reshape(30, 1).repeat(1, 3)
    labels = (torch.arange(30) % 3 == 0).long()  # 10 of class 1
    split = Split(inputs, labels if is_classes else inputs[:, 0])
    monkeypatch.setattr(Table, "load", lambda self: (split, split.take(torch.arange(6))))
    if is_classes:
        monkeypatch.setattr(Table, "class_names", ("no", "yes"))
    held_out = []
    for fold in range(5):
        data = Table(folds=5, fold=fold, val_size=3)
        splits = loaded(data)
        assert [len(splits[part].inputs) for part in ("train", "val", "test")] == [24, 6, 6]  # no fold of the test
        assert not is_classes or int(splits["val"].targets.sum()) == 2  # stratified
        val = splits["val"].inputs[:, 0].tolist()
        assert set(splits["train"].inputs[:, 0].tolist()) == set(range(30)) - set(val)
        held_out += val
    assert data.has_validation
    assert sorted(held_out) == list(range(30)) and held_out != sorted(held_out)
    again = loaded(Table(folds=5, fold=4, split_seed=1))
    assert set(again["val"].inputs[:, 0].tolist()) != set(val)


@pytest.mark.parametrize(
    ("classes", "settings", "message"),
    [
        (None, {"fold": 1}, "data.fold=1: needs the number of folds, as in data.folds=5"),
        (None, {"folds": 5, "fold": 5}, "data.fold=5: with data.folds=5 it must be 0 to 4"),
        (None, {"folds": 101}, "data.folds=101: must be from 2 to the number of samples"),
        (None, {"folds": 1}, "data.folds=1: must be from 2 to the number of samples"),
        (("a", "b"), {"folds": 51}, "data.folds=51: must be from 2 to the number of samples of each class"),
    ],
)
def test_impossible_folds_are_refused(monkeypatch, classes, settings, message):
    monkeypatch.setattr(Table, "class_names", classes)
    if classes:
        split = Split(torch.zeros(100, 3), torch.arange(100) % 2)
        monkeypatch.setattr(Table, "load", lambda self: (split, split))
    with pytest.raises(RequestError) as error:
        loaded(Table(**settings))
    assert str(error.value) == message


def test_a_file_that_load_does_not_find_is_told_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(Table, "load", lambda self: (tmp_path / "scores.csv").read_text())
    assert refusal(Table()) == (
        f"data=Table: {tmp_path}/scores.csv does not exist; set paths.data_dir, or fix the path in load()"
    )


def trainer(**settings):
    usual = {"world_size": 1, "global_rank": 0, "overfit_batches": 0.0, "current_epoch": 0, "lightning_module": None}
    return SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu")), **usual | settings)


def test_loaders():
    data = Table(val_size=30, batch_size=32, eval_batch_size=25)
    data.setup()
    data.trainer = trainer()
    assert [len(y) for _, y in data.train_dataloader()] == [32, 32, 6]
    assert [len(y) for _, y in data.val_dataloader()] == [25, 5]
    assert [y.tolist() for _, y in data.test_dataloader()] == [list(range(25)), list(range(25, 40))]
    targets, order = data.splits["train"].targets, [y for _, y in data.train_dataloader()]
    assert not torch.equal(torch.cat(order), targets) and torch.equal(torch.cat(order).sort()[0], targets.sort()[0])
    data.trainer = trainer(overfit_batches=3)
    assert torch.equal(torch.cat([y for _, y in data.train_dataloader()]), targets), "the same few batches"
    data.trainer = trainer(lightning_module=SimpleNamespace(steps_per_execution=2))
    assert isinstance(data.train_dataloader(), Chunks)
    assert [len(chunk) for chunk in data.train_dataloader()] == [2, 1]
    data = Table(val_size=0)
    data.setup()
    data.trainer = trainer()
    assert not data.has_validation
    assert len(data.val_dataloader()) == 0
    assert sum(len(y) for _, y in data.train_dataloader()) == 100
