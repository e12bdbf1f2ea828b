"""Shapes, types and values of the data sets that need no network."""

import hashlib
import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
import torchvision
from sklearn import datasets

from litlab.data import california
from litlab.data.breast_cancer import BreastCancer
from litlab.data.california import FILE, California
from litlab.data.cifar10 import CIFAR10
from litlab.data.sine import Sine
from litlab.data.tables import ExamScores, Line
from litlab.errors import RequestError

SHARED = Path(__file__).parents[3] / "shared" / "data"


def loaded(data):
    data.prepare_data()
    data.setup()
    for inputs, _ in data.splits.values():
        assert inputs.dtype == torch.float32
        assert inputs.shape[1:] == data.input_shape
    return data.splits


def test_the_small_data_sets():
    splits = loaded(Sine(test_on_train=True))
    x, y = splits["train"]
    assert x.shape == (1000, 1)
    assert x[0] == pytest.approx(-torch.pi) and x[-1] == pytest.approx(torch.pi)
    assert torch.equal(y, x[:, 0].sin())
    assert len(loaded(Sine(points=50, test_size=10))["train"].inputs) == 40
    x, y = loaded(ExamScores(test_on_train=True))["train"]
    assert x[2].tolist() == [89, 91, 90]
    assert y.tolist() == [152, 185, 180, 196, 142]
    x, y = loaded(Line(test_on_train=True))["train"]
    assert torch.equal(2 * x[:, 0], y)
    x, y = loaded(BreastCancer(test_on_train=True))["train"]
    truth = datasets.load_breast_cancer()
    assert torch.equal(x, torch.from_numpy(truth.data).float())
    assert y.dtype == torch.int64 and y.bincount().tolist() == [212, 357]
    assert BreastCancer.class_names == tuple(truth.target_names)
    assert BreastCancer.feature_names == tuple(truth.feature_names)
    for data in [Sine, ExamScores, Line]:
        splits = loaded(data(test_on_train=True, normalize=True))
        assert torch.equal(splits["train"].inputs, splits["test"].inputs)
        assert torch.equal(splits["train"].targets, splits["test"].targets)
        assert splits["train"].inputs.mean(0).abs().max() < 1e-5  # normalized once, not twice


@pytest.mark.skipif(not (SHARED / FILE).is_file(), reason="needs scikit-learn's cache in ../shared/data")
def test_california():
    data = California(data_dir=SHARED, test_size=0.2, val_size=0.2)
    splits = loaded(data)
    assert [len(splits[part].inputs) for part in ("train", "val", "test")] == [13210, 3302, 4128]
    x, y = loaded(California(data_dir=SHARED, test_on_train=True))["train"]
    assert dict(zip(data.feature_names, x[0].tolist(), strict=True)) == pytest.approx(
        {"MedInc": 8.3252, "HouseAge": 41.0, "AveRooms": 6.984127, "AveBedrms": 1.023810, "Population": 322.0}
        | {"AveOccup": 2.555556, "Latitude": 37.88, "Longitude": -122.23}
    )
    assert y[:5].tolist() == pytest.approx([4.526, 3.585, 3.521, 3.413, 3.422])
    assert len(y) == 20640


@pytest.mark.skipif(not (SHARED / FILE).is_file(), reason="needs scikit-learn's cache in ../shared/data")
def test_the_rows_of_california_are_divided_as_published():
    """RMSE and R2 of TabM's authors, seed 0: exp/tabm/california/0-evaluation/0/report.json in yandex-research/tabm."""
    data = California(data_dir=SHARED, split="rtdl")
    published = {
        "train": (13209, 0.3504095882527899, 0.9088421537883546),
        "val": (3303, 0.4441068121420057, 0.8487342203322961),
        "test": (4128, 0.4417858517027938, 0.850320945767379),
    }
    assert data.has_validation
    for part, (count, rmse, r2) in published.items():
        targets = loaded(data)[part].targets.double()
        assert len(targets) == count
        assert targets.var(correction=0).item() == pytest.approx(rmse**2 / (1 - r2), rel=2e-7)
    for division in ({"folds": 5}, {"test_on_train": True}):
        with pytest.raises(RequestError, match=r"^data\.split=rtdl: divides the rows; leave data\.folds and"):
            California(data_dir=SHARED, split="rtdl", **division)


@pytest.fixture
def small_california(tmp_path, monkeypatch):
    """A cache as scikit-learn writes it, of 5 rows, with a checksum of its own; and its numbers."""
    numbers = np.asfortranarray(np.random.default_rng(0).uniform(1, 9, (5, 9)))
    joblib.dump(numbers, tmp_path / FILE, compress=6)
    monkeypatch.setattr(california, "SHAPE", numbers.shape)
    monkeypatch.setattr(california, "SHA256", hashlib.sha256(numbers.tobytes(order="F")).hexdigest())
    return tmp_path, numbers


def test_california_is_what_scikit_learn_reads_to_the_bit(small_california):
    folder, _ = small_california
    table = datasets.fetch_california_housing(data_home=str(folder), download_if_missing=False)
    (x, y), _ = California(data_dir=folder).load()
    assert torch.equal(x, torch.from_numpy(table.data).float()) and x.stride() == (1, 5)
    assert torch.equal(y, torch.from_numpy(table.target).float())


class Payload:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_of_california_only_the_right_numbers_are_read_and_nothing_is_unpickled(small_california, monkeypatch):
    folder, numbers = small_california
    data, whole = California(data_dir=folder), (folder / FILE).read_bytes()
    for content in (Payload(folder / "canary"), [numbers, Payload(folder / "canary")], numbers + 1e-9, numbers[:4]):
        joblib.dump(content, folder / FILE, compress=6)
        with pytest.raises(RequestError, match=r"cal_housing_py3\.pkz cannot be read \(wrong checksum\); delete it"):
            data.load()
    assert not (folder / "canary").exists()

    def fetch(data_home, **_):
        (Path(data_home) / FILE).write_bytes(whole)

    monkeypatch.setattr(california, "fetch_california_housing", fetch)
    data.prepare_data()  # a damaged file is downloaded again
    assert (folder / FILE).read_bytes() == whole
    monkeypatch.setattr(california, "fetch_california_housing", lambda **_: pytest.fail("downloaded again"))
    data.prepare_data()


def checks(monkeypatch, data):
    """How often the file or files of a data set are read to prepare, set up, validate and test."""
    read = []
    read_bytes, md5 = Path.read_bytes, torchvision.datasets.utils.calculate_md5
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or read_bytes(path))
    monkeypatch.setattr(torchvision.datasets.utils, "calculate_md5", lambda path, *_: read.append(path) or md5(path))
    data.prepare_data()
    data.setup()
    data.prepare_data()
    return len(read) / len(set(map(str, read)))


def test_files_are_checked_once_to_prepare_and_once_to_load(small_california, small_cifar, monkeypatch):
    assert checks(monkeypatch, California(data_dir=small_california[0], test_on_train=True)) == 2
    assert checks(monkeypatch, CIFAR10(data_dir=small_cifar)) == 2


def test_data_sets_that_cannot_be_had_are_told(tmp_path, monkeypatch):
    def offline(**_):
        raise OSError("no network")

    monkeypatch.setattr(california, "fetch_california_housing", offline)
    file = tmp_path / "data" / FILE
    for problem in ("does not exist", "does not exist", "is damaged"):  # the second time the folder exists
        if problem == "is damaged":
            file.write_bytes(b"half a fi")
        pattern = rf"^data=california: \S+ {problem}.* and cannot be downloaded \(no network\); set paths.data_dir"
        with pytest.raises(RequestError, match=pattern):
            California(data_dir=tmp_path / "data").prepare_data()
        assert file.exists() is (problem == "is damaged")
    with pytest.raises(RequestError, match=r"cal_housing_py3.pkz cannot be read .* delete it"):
        California(data_dir=tmp_path / "data").load()
    with pytest.raises(RequestError, match=r"^data.sample=part.npz: .*set paths.data_dir .*, or use data=cifar10$"):
        CIFAR10(data_dir=tmp_path, sample="part.npz").load()


@pytest.mark.skipif(not (SHARED / "cifar10_sample.npz").is_file(), reason="needs the sample in ../shared/data")
def test_the_sample_of_cifar10():
    splits = loaded(CIFAR10(data_dir=SHARED, sample="cifar10_sample.npz"))
    with np.load(SHARED / "cifar10_sample.npz") as arrays:
        assert len(splits["train"].inputs) == len(arrays["train_images"])
        pixel = splits["train"].inputs[3, :, 5, 7] * 255
        assert pixel.round().int().tolist() == arrays["train_images"][3, 5, 7].tolist()
        assert splits["test"].targets.tolist() == arrays["test_labels"].tolist()


@pytest.fixture
def small_cifar(tmp_path, monkeypatch):
    """Files as torchvision's, of 10 images each, with checksums of their own."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    random = np.random.default_rng(0)

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    def part():
        return {"data": random.integers(256, size=(10, 3072), dtype=np.uint8), "labels": list(range(10))}

    train = [write(f"data_batch_{number}", part()) for number in range(1, 6)]
    test = [write("test_batch", part())]
    name, md5 = write("batches.meta", {"label_names": list(CIFAR10.class_names)})
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "train_list", train)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "test_list", test)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": md5})
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", "http://127.0.0.1:1/nothing.tar.gz")
    return tmp_path


def test_of_cifar10_nothing_is_unpickled_that_has_another_checksum(small_cifar):
    splits = loaded(CIFAR10(data_dir=small_cifar))
    assert len(splits["train"].inputs) == 50
    first = pickle.loads((small_cifar / "cifar-10-batches-py" / "data_batch_1").read_bytes())["data"][0]
    assert (splits["train"].inputs[0] * 255).round().int().flatten().tolist() == first.tolist()
    assert splits["test"].targets.tolist() == list(range(10))
    payload = pickle.dumps(Payload(small_cifar / "canary"))
    (small_cifar / "cifar-10-batches-py" / "data_batch_3").write_bytes(payload)
    data = CIFAR10(data_dir=small_cifar)
    with pytest.raises(RequestError, match=r"^data=cifar10: .*data_batch_3 is damaged \(wrong checksum\); delete it"):
        data.load()
    with pytest.raises(
        RequestError,
        match=r"^data=cifar10: no intact cifar-10-batches-py.*refused.*; set paths.data_dir.*cifar10_sample$",
    ):
        data.prepare_data()
    assert not (small_cifar / "canary").exists()
