"""A run that is opened again: the predictions and the metrics of the training, to the bit."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import litlab
from litlab import finish
from litlab.build import build_data, build_trainer
from litlab.data.preprocessing.spec import KEY, DataSpec
from litlab.data.tensors import Split, TensorData
from litlab.errors import RequestError
from litlab.runs.checkpoints import AtomicCheckpointIO, read_checkpoint
from litlab.tasks.prediction import predict


@pytest.fixture
def trained(monkeypatch):
    """What a training's own task predicted for the test split, and its data."""
    kept = {}
    select = finish.select

    def selected(task, trainer):
        found = select(task, trainer)
        data = trainer.datamodule
        kept.update(data=data, predictions=predict(task, data.splits["test"].inputs, data.eval_batch_size))
        return found

    monkeypatch.setattr(finish, "select", selected)
    return kept


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("data=digits model=mlp data.normalize=true", "classification"),
        ("data=digits model=cnn model.channels=[4] trainer.max_epochs=2", "classification"),
        ("data=breast_cancer model=mlp", "binary"),
        ("data=exam_scores model=linear data.test_on_train=false data.test_size=2", "regression"),
        ("experiment=sine_polynomial data.passes_per_epoch=20", "regression"),
    ],
)
def test_predictions_and_metrics_are_those_of_the_training(run, trained, words, kind):
    directory = run(*words.split())
    loaded = litlab.load_run(directory)
    assert loaded.data.target_kind == kind
    raw = trained["data"].raw_splits()["test"].inputs
    assert torch.equal(loaded.predict(raw), trained["predictions"])
    assert torch.equal(loaded.data.prepare(raw.numpy().astype("float64")), trained["data"].splits["test"].inputs)
    loaded.config.callbacks, loaded.config.logger = {}, {}
    data = build_data(loaded.config)
    measured = finish.measure(build_trainer(loaded.config, data), loaded.task, data).metrics
    assert "test/loss" in measured
    assert measured == {name: loaded.result.metrics[name] for name in measured}


@pytest.mark.slow
def test_a_run_is_opened_in_three_lines_of_another_process(run, trained, tmp_path):
    """Images as a file holds them, without the data set's module, and from where the directory lies now."""
    directory = run("data=digits", "model=mlp").rename(tmp_path / "moved")
    test = trained["data"].raw_splits()["test"].inputs
    np.save(tmp_path / "images.npy", (test * 16).to(torch.uint8).squeeze(1).numpy())
    code = f"""if True:
    import sys, numpy, litlab
    assert "torch" not in sys.modules
    run = litlab.load_run({str(directory)!r})
    numpy.save({str(tmp_path / "predictions.npy")!r}, run.predict(numpy.load({str(tmp_path / "images.npy")!r})).numpy())
    assert "litlab.data.digits" not in sys.modules and "sklearn.datasets" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True, env={"OMP_NUM_THREADS": "1", "PATH": ""})
    assert np.array_equal(np.load(tmp_path / "predictions.npy"), trained["predictions"].numpy())


def test_labels_are_names(run):
    images, labels = load_digits(return_X_y=True)
    loaded = litlab.load_run(run("data=digits", "model=mlp", "trainer.max_epochs=3"))
    said = loaded.labels(loaded.predict(images.astype("uint8").reshape(-1, 8, 8)))
    assert np.mean([int(name) == label for name, label in zip(said, labels, strict=True)]) > 0.9


def spec(**known):
    usual = {"name": "Own", "input_shape": (3, 4, 5), "num_outputs": 2, "class_names": ("a", "b"), "target_name": "y"}
    names = ("feature_names", "num_tokens", "pixel_max", "mean", "std")
    return DataSpec(**{**dict.fromkeys(names), "eval_batch_size": 8, **usual, **known})


@pytest.mark.parametrize("shape", [(3, 4, 5), (4, 5, 3), (7, 3, 4, 5), (7, 4, 5, 3)])
def test_images_may_have_their_channels_last(shape):
    raw = torch.arange(np.prod(shape)).reshape(shape).to(torch.uint8)
    batch = raw if raw.dim() == 4 else raw[None]
    expected = (batch if batch.shape[1] == 3 else batch.permute(0, 3, 1, 2)) / 255.0
    assert torch.equal(spec(pixel_max=255.0).prepare(raw), expected)
    assert torch.equal(spec(pixel_max=255.0).prepare((raw / 255.0).numpy()), expected)


def test_a_spec_is_plain_data_and_comes_back():
    known = spec(pixel_max=255.0, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0))
    plain = known.as_dict()
    assert DataSpec.from_dict(plain) == known and plain["target_kind"] == "classification"
    assert plain["mean"] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_shape": (0,)}, {"input_shape": "x"}, {"mean": (1.0,)}, {"mean": ("x",)}, {"num_outputs": True},
        {"pixel_max": float("nan")}, {"eval_batch_size": 10**30}, {"class_names": ({},)}, {"target_name": None},
    ],
)  # fmt: skip
def test_a_spec_of_somebody_else_is_checked(wrong):
    with pytest.raises(ValueError, match=r"^data_spec"):
        DataSpec.from_dict(spec().as_dict() | wrong)


@pytest.mark.parametrize(
    ("known", "raw", "message"),
    [
        (
            {},
            torch.zeros(4, 5),
            r"the shape \(4, 5\); the run was trained on images of 4x5 with 3 channels: it must be ",
        ),
        ({}, torch.zeros(2, 4, 5, 3, dtype=torch.uint8), r"data=Own: uint8 images need its pixel_max, .* train again"),
        ({"input_shape": (2,)}, [[1.0, float("nan")]], "the inputs hold NaN or infinite values"),
        ({"input_shape": (2,)}, [[1.0, 2.0, 3.0]], r"the shape \(1, 3\); the run was trained on 2 columns: .*\(N, 2\)"),
        ({"input_shape": (2,)}, ["a", "b"], "the inputs are not a numeric array"),
        ({"input_shape": (2,), "num_tokens": 9}, [[3, 9]], "must be tokens, whole numbers from 0 to 8"),
    ],
)
def test_inputs_of_another_kind_are_refused_in_one_line(known, raw, message):
    with pytest.raises(RequestError, match=message) as error:
        spec(**known).prepare(raw)
    assert "\n" not in str(error.value)


class Bytes(TensorData):
    """Images as bytes, which the network gets as they are."""

    input_shape, num_outputs, class_names = (1, 2, 2), 2, ("dark", "light")

    def load(self):
        images = torch.randint(256, (200, 1, 2, 2), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        return Split(images, (images.float().mean((1, 2, 3)) > 128).long()), None


class Tokens(Bytes):
    """Rows of words."""

    input_shape, num_tokens = (3,), 40

    def load(self):
        tokens = torch.randint(40, (200, 3), generator=torch.Generator().manual_seed(0))
        return Split(tokens, (tokens.sum(1) > 60).long()), None


class Bag(torch.nn.Module):
    """Of words."""

    def __init__(self, input_shape: tuple[int, ...], num_outputs: int, num_tokens: int):
        super().__init__()
        self.bag = torch.nn.EmbeddingBag(num_tokens, num_outputs)

    def forward(self, inputs):
        return self.bag(inputs)


class Prepared(Bytes):
    """Changes its inputs after all."""

    def setup(self, stage=None):
        super().setup(stage)


def own(name, size=50):
    return {
        "data": {"_target_": f"test_load_own.{name}", "val_size": size, "test_size": size},
        "trust": ["test_load_own"],
    }


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setitem(sys.modules, "test_load_own", sys.modules[__name__])
    for each in (Bytes, Tokens, Bag, Prepared):
        monkeypatch.setattr(each, "__module__", "test_load_own")


@pytest.mark.parametrize("name", ["Bytes", "Tokens"])
def test_data_sets_of_ones_own_need_no_more_code(run, trained, name):
    model = {"model": {"_target_": "test_load_own.Bag"}} if name == "Tokens" else {}
    directory = run("data=digits", "model=linear", **own(name), **model)
    loaded = litlab.load_run(directory, trust=["test_load_own"])
    assert loaded.data.name == name and loaded.data.num_tokens == (40 if name == "Tokens" else None)
    raw = trained["data"].load()[0].inputs
    assert torch.equal(loaded.predict(raw), predict(loaded.task, raw if name == "Tokens" else raw.float(), 1024))
    test = trained["data"].raw_splits()["test"].inputs
    assert torch.equal(loaded.predict(test), trained["predictions"])


def test_data_that_prepare_inputs_in_their_own_way_are_refused(run):
    directory = run("data=digits", "model=linear", **own("Prepared"))
    with pytest.raises(RequestError, match=r"its data set prepares inputs in its own way.*override load\(\) alone"):
        litlab.load_run(directory)


def test_a_saved_run_is_not_trusted_for_what_it_says(run):
    directory = run("data=digits", "model=linear", **own("Tokens"), model={"_target_": "test_load_own.Bag"})
    with pytest.raises(RequestError, match=r"^model\._target_=test_load_own\.Bag: .*trust=\[test_load_own\]"):
        litlab.load_run(directory)


def test_what_is_no_run_of_today_is_refused_in_one_line(run, tmp_path):
    with pytest.raises(RequestError, match=r"is no directory of a run that can be read .*No such file"):
        litlab.load_run(tmp_path / "nowhere")
    directory = run("data=digits", "model=linear")
    path = directory / "checkpoints" / "best.ckpt"
    checkpoint = read_checkpoint(path)
    AtomicCheckpointIO().save_checkpoint({name: value for name, value in checkpoint.items() if name != KEY}, path)
    with pytest.raises(RequestError, match=r"best\.ckpt: an older litlab wrote it, without what predictions need"):
        litlab.load_run(directory)
    AtomicCheckpointIO().save_checkpoint(checkpoint | {"state_dict": {}}, path)
    with pytest.raises(RequestError, match=r"best\.ckpt: its weights do not fit the model that its settings name"):
        litlab.load_run(directory)
    AtomicCheckpointIO().save_checkpoint(checkpoint | {KEY: {"name": 7}}, path)
    with pytest.raises(RequestError, match=r"best\.ckpt: holds no run that can be built \('input_shape'\)"):
        litlab.load_run(directory)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RequestError, match=r"best\.ckpt: has no checksum"):
        litlab.load_run(directory)
    path.unlink()
    os.mkfifo(path)  # which would block
    with pytest.raises(RequestError, match=r"best\.ckpt: is not a regular file"):
        litlab.load_run(directory)
    with pytest.raises(RequestError, match="has kept no checkpoint"):
        litlab.load_run(run("data=digits", "model=linear", "callbacks=none"))
