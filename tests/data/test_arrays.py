"""Arrays of one's own: which are inputs and targets, what their axes mean, and the 30 files that are refused."""

import io
import os
import zipfile

import numpy as np
import pytest
import torch

from litlab.data.arrays import Arrays
from litlab.data.reading.array_choice import suggest_task
from litlab.data.reading.array_file import ArrayFile
from litlab.data.reading.array_layout import judge_layout
from litlab.data.stored import StoredInputs
from litlab.errors import RequestError
from litlab.models.cnn1d import CNN1d
from litlab.verbs.train import train

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
Y = np.arange(40) % 4


@pytest.fixture
def saved(tmp_path):
    """An npz of these arrays; as Arrays, with these settings."""

    def save(*unnamed, settings=None, **named):
        np.savez(tmp_path / "own.npz", *unnamed, **named)
        return Arrays(**{"file": str(tmp_path / "own.npz"), "test_size": 0.2} | (settings or {}))

    return save


def refusal(build):
    with pytest.raises(RequestError) as error:
        build().raw_splits()
    return str(error.value)


@pytest.mark.parametrize(
    ("names", "parts", "reason"),
    [
        (("x", "y"), {"train", "val", "test"}, "by their names"),
        (("Images", "LABELS"), {"train", "val", "test"}, "by their names"),
        (("q", "r"), {"train", "val", "test"}, "the first of the two is taken for the inputs"),
        ((), {"train", "val", "test"}, "the first of the two is taken for the inputs"),
        (("X_train", "y_train", "X_test", "y_test"), {"train", "val", "test"}, "by their names"),
        (("train_images", "train_labels", "valid_images", "valid_labels"), {"train", "val", "test"}, "by their names"),
    ],
)
def test_arrays_are_found_by_name_or_order(saved, names, parts, reason):
    values = [X, Y] * max(len(names) // 2, 1)
    data = saved(**dict(zip(names, values, strict=True))) if names else saved(X, Y)
    splits = data.raw_splits()
    assert set(splits) == parts and data.guesses[0].reason == reason
    sizes = [len(splits[part].inputs) for part in ("train", "val", "test")]
    assert sizes == {"x": [32, 0, 8], "X_train": [40, 0, 40], "train_images": [32, 40, 8]}.get(
        (names or ("x",))[0], [32, 0, 8]
    )
    assert torch.equal(splits["train"].targets, torch.from_numpy(Y)) or len(splits["train"].inputs) < 40
    assert data.class_names == ("0", "1", "2", "3") and data.num_outputs == 4


def test_settings_name_others(saved):
    data = saved(x=X, a=X[:, :2], b=Y, settings={"inputs": "a", "targets": "b"})
    assert data.input_shape == (2,) and data.guesses[0].reason == "as data.inputs and data.targets say"
    assert refusal(lambda: saved(x=X, a=X, b=Y)).endswith(
        "own.npz: set data.inputs and data.targets to the names of its arrays: "
        "x (40, 6) float32, a (40, 6) float32, b (40,) int64"
    )
    assert "data.inputs=aa: data.file=" in refusal(lambda: saved(a=X, b=Y, settings={"inputs": "aa"}))


@pytest.mark.parametrize(
    ("targets", "task", "classes", "outputs"),
    [
        (Y, "classification", ("0", "1", "2", "3"), 4),
        (Y.astype(np.uint8)[:, None] + 7, "classification", ("7", "8", "9", "10"), 4),
        (np.array(["b", "a", "\x1b["] + ["c"] * 37), "classification", ("\\x1b[", "a", "b", "c"), 4),
        (Y > 1, "classification", ("False", "True"), 2),
        (np.eye(4, dtype=int)[Y], "classification", ("0", "1", "2", "3"), 4),
        (Y.astype(float), "regression", None, 1),
        (np.arange(40), "regression", None, 1),
        (X[:, :3], "regression", None, 3),
    ],
)
def test_the_task_follows_from_the_targets(saved, tmp_path, targets, task, classes, outputs):
    data = saved(x=X, y=targets)
    assert suggest_task({"file": str(tmp_path / "own.npz")}) == [f"task={task}"]
    assert (data.class_names, data.num_outputs) == (classes, outputs)
    found = data.raw_splits()["train"].targets
    assert found.dtype == (torch.float32 if classes is None else torch.int64)
    assert data.spec.target_kind == task


def test_the_user_decides_the_task(saved):
    assert saved(x=X, y=Y, settings={"task": "litlab.tasks.regression.Regression"}).num_outputs == 1
    binary = {"task": "litlab.tasks.binary.Binary"}
    data = saved(x=X, y=Y > 1, settings=binary)
    assert (data.num_outputs, data.class_names) == (1, ("False", "True"))
    assert refusal(lambda: saved(x=X, y=Y, settings=binary)) == "task=binary: the targets have 4 different values"


@pytest.mark.parametrize(
    ("shape", "is_bytes", "layout", "reason"),
    [
        ((9,), False, "table", "two axes: rows and columns"),
        ((9, 5), False, "table", "two axes: rows and columns"),
        ((9, 28, 28), False, "image", "height and width are equal"),
        ((9, 28, 20), True, "image", "bytes"),
        ((9, 3, 100), False, "channels_time", "the longer axis is taken for time"),
        ((9, 100, 3), False, "time_channels", "the longer axis is taken for time"),
        ((9, 3, 32, 32), True, "channels_first", "the second axis has 3"),
        ((9, 32, 32, 3), True, "channels_last", "the last axis has 3"),
        ((9, 3, 32, 3), False, "channels_first", "the second axis has 3"),
    ],
)
def test_layouts(shape, is_bytes, layout, reason):
    assert judge_layout(shape, is_bytes, None) == (layout, reason)


@pytest.mark.parametrize(
    ("shape", "settings", "input_shape"),
    [
        ((20,), {}, (1,)),
        ((20, 7), {"layout": "sequence"}, (7, 1)),
        ((20, 2, 7), {}, (7, 2)),
        ((20, 2, 7), {"layout": "time_channels"}, (2, 7)),
        ((20, 5, 5), {}, (1, 5, 5)),
        ((20, 5, 6, 3), {}, (3, 5, 6)),
    ],
)
def test_samples_lie_as_litlab_lays_them_out_also_for_predictions(saved, shape, settings, input_shape):
    values = np.arange(np.prod(shape)).reshape(shape).astype(np.float32)
    data = saved(x=values, y=np.arange(20) % 2, settings=settings | {"normalize": True})
    data.setup()
    assert data.input_shape == input_shape == tuple(data.splits["train"].inputs.shape[1:])
    prepared = data.spec.prepare(values if values.ndim > 1 else values[:, None])
    test = data.splits["test"].inputs
    assert all(any(torch.equal(row, each) for each in prepared) for row in test)


def test_small_types_and_mapped_files_stay_as_they_lie(saved, tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (30, 5, 5, 3), dtype=np.uint8)
    inputs = saved(x=images, y=Y[:30]).raw_splits()["train"].inputs
    assert isinstance(inputs, StoredInputs) and inputs.dtype == torch.uint8 and inputs.shape == (24, 3, 5, 5)
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, values in {"x": X.astype(np.float64), "y": Y}.items():
        np.save(folder / f"{name}.npy", values)
    for settings in ({"file": str(folder)}, {"file": str(folder / "x.npy"), "targets": "y.npy"}):
        data = Arrays(**settings, test_size=0.2, normalize=True)
        data.setup()
        inputs = data.splits["train"].inputs
        assert inputs.mapped and inputs.dtype == torch.float64 and inputs[:].dtype == torch.float32
        torch.testing.assert_close(inputs[:].mean(0), torch.zeros(6), rtol=0, atol=1e-6)
    assert refusal(lambda: Arrays(file=str(folder / "x.npy"))).endswith(
        "holds one array, the inputs; name the targets' file, data.targets=labels.npy"
    )
    assert refusal(lambda: Arrays(file=str(folder / "x.npy"), targets="z.npy")) == "data.targets=z.npy: does not exist"


def patched(file, name, old, new):
    """The npz with bytes of a member replaced."""
    with zipfile.ZipFile(file) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    members[name] = members[name].replace(old, new)
    with zipfile.ZipFile(file, "w") as archive:
        for each, content in members.items():
            archive.writestr(each, content)


def pickled():
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    return file.getvalue()


def save(**arrays):
    return lambda path: np.savez(path, **arrays)


def edited(name, old, new):
    def make(path):
        np.savez(path, x=X, y=Y)
        patched(path, name, old, new)

    return make


def cut(size):
    def make(path):
        np.savez(path, x=X, y=Y)
        path.write_bytes(path.read_bytes()[:size])

    return make


ASK, SHAPE = "data.file={path}: ", "'x' is damaged: its size is not that of its shape"
BROKEN = {
    "nothing": (lambda path: None, ASK + "does not exist; it must be a .npz or .npy file, or a folder of .npy files"),
    "empty": (lambda path: path.write_bytes(b""), ASK + "is no .npz or .npy file; save it with numpy.savez"),
    "text": (lambda path: path.write_text("1,2"), ASK + "is no .npz or .npy file; save it with numpy.savez"),
    "empty folder": (lambda path: path.mkdir(), ASK + "holds no array"),
    "empty zip": (lambda path: zipfile.ZipFile(path, "w").close(), ASK + "holds no array"),
    "other zip": (
        lambda path: path.write_bytes(pickled()) and zipfile.ZipFile(path, "w").writestr("a.txt", "hello world"),
        ASK,
    ),
    "cut": (cut(300), ASK + "is no .npz or .npy file"),
    "objects": (save(x=np.array([{}, 1], dtype=object), y=Y[:2]), ASK + "'x' holds Python objects, which could run "),
    "structured": (save(x=np.zeros(3, "i4,f4"), y=Y[:3]), ASK + "'x' is of type [('f0', '<i4'), ('f1', '<f4')]; it "),
    "dates": (save(x=np.zeros(3, "M8[s]"), y=Y[:3]), ASK + "'x' is of type datetime64[s]; it must hold numbers, or te"),
    "complex": (save(x=X.astype(complex), y=Y), ASK + "'x' is of type complex128; it must hold numbers, or texts as "),
    "texts": (save(x=np.array(["a"] * 40), y=Y), ASK + "'x' holds texts; inputs are numbers"),
    "lengths": (save(x=X, y=Y[:30]), ASK + "'x' has 40 samples and 'y' 30; they must be as many"),
    "a number": (save(x=X, y=np.array(3)), ASK),
    "one sample": (save(x=X[:1], y=Y[:1]), ASK + "'x' has 1 sample; there must be more"),
    "no samples": (save(x=X[:0], y=Y[:0]), ASK + "'x' has 0 samples; there must be more"),
    "no columns": (save(x=X[:, :0], y=Y), "data.inputs: have the shape (40, 0); samples are rows, sequences or images"),
    "five axes": (save(x=X.reshape(40, 1, 1, 2, 3), y=Y), "data.inputs: have the shape (40, 1, 1, 2, 3); samples are"),
    "targets": (save(x=X, y=X.reshape(40, 2, 3)), ASK + "'y' has the shape (40, 2, 3); targets are (N,) or (N, K)"),
    "one array": (save(x=X), ASK + "set data.inputs and data.targets to the names of its arrays: x (40, 6) float32"),
    "one part": (save(x_train=X, y_train=Y, x_test=X), ASK + "needs inputs and targets of the same parts (test/train)"),
    "only a test": (save(x_test=X, y_test=Y), ASK + "needs inputs and targets of the same parts (test)"),
    "shapes": (
        save(x_train=X, y_train=Y, x_test=X[:, :2], y_test=Y),
        ASK + "the samples differ in shape: train (6,), test (2,)",
    ),
    "two mistakes": (
        save(x_train=X, y_train=Y[:5], x_test=X[:, :2], y_test=Y),
        ASK + "'x_train' has 40 samples and 'y_train' 5; they must be as many\n" + ASK + "the samples differ in shape",
    ),
    "new labels": (save(x_train=X, y_train=Y, x_test=X, y_test=Y + 3), "data.targets: labels that the training part l"),
    "NaN": (save(x=np.where(X > 2, np.nan, X), y=Y), "data=Arrays: the train inputs hold NaN or infinite values in"),
    "a bomb": (edited("x.npy", b"(40, 6)", b"(4e, 6)"), ASK),
    "a larger shape": (edited("x.npy", b"(40, 6), ", b"(400, 6),"), ASK + SHAPE + " (400, 6)"),
    "a smaller shape": (edited("x.npy", b"(40, 6), ", b"(4, 6),  "), ASK + SHAPE + " (4, 6)"),
    "header": (edited("x.npy", b"NUMPY", b"NUMPI"), ASK + "the magic string is not correct"),
}


@pytest.mark.parametrize(("make", "told"), BROKEN.values(), ids=BROKEN)
def test_broken_files_are_refused(tmp_path, make, told):
    path = tmp_path / "own.npz"
    make(path)

    def build():
        data = Arrays(file=str(path), test_size=0.2)
        data.setup()
        return data

    said = refusal(build)
    assert said.startswith(told.format(path=path)) and said.count("\n") == told.count("\n") and len(said) < 600


def test_a_file_larger_than_memory_is_mapped(tmp_path):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    rows = memory // 2**18 + 2**12  # and a gigabyte more; the file is sparse, and takes no disk
    header = {"descr": "|u1", "fortran_order": False, "shape": (rows, 2**18)}
    with (tmp_path / "x.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + rows * 2**18)
    array = ArrayFile(tmp_path / "x.npy")["x"]
    array[-1, -1] = 7
    assert array.shape == (rows, 2**18) and array[-1, -2:].tolist() == [0, 7]
    assert ArrayFile(tmp_path / "x.npy")["x"][-1, -1] == 0, "the file stays as it is"


@pytest.mark.parametrize("dtype", ["f8", ">f4", "i8", "u2", "f4", "f2", "i1", "?"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_inputs_are_read_into_their_place(tmp_path, monkeypatch, dtype, save):
    monkeypatch.setattr("litlab.data.reading.array_file.PART", 7)
    values = (X * 50).astype("i1").astype(dtype)
    save(tmp_path / "own.npz", c=values, f=np.asfortranarray(values))
    file = ArrayFile(tmp_path / "own.npz")
    for name in file.kinds:
        assert file[name].dtype == values.dtype and np.array_equal(file[name], values)
        inputs = file.inputs(name)
        assert inputs.dtype == (dtype if dtype in ("f4", "f2", "i1", "?") else np.float32)
        assert np.array_equal(inputs, values)


def test_a_wrong_checksum_is_refused(saved, tmp_path):
    values = np.arange(40_000.0).reshape(40, 1000)
    saved(x=values, y=Y)
    file = tmp_path / "own.npz"
    file.write_bytes(file.read_bytes().replace(np.float64(30_000).tobytes(), np.float64(7).tobytes()))
    assert "'x' is damaged (Bad CRC-32 for file 'x.npy')" in refusal(lambda: Arrays(file=str(file), test_size=0.2))


def test_more_than_memory_is_refused_before_it_is_read(saved, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 10)
    assert "its arrays need 0 GB, more than there is memory; save them with numpy.save as .npy" in refusal(
        lambda: saved(x=X, y=Y)
    )


@pytest.mark.parametrize("shape", [(9,), (9, 4)])
def test_cnn1d_shrinks_time_and_says_what_it_needs(shape):
    model = CNN1d(shape, 3, channels=[4, 8], kernel_size=3, hidden_sizes=[5], dropout=0.1)
    assert model(torch.zeros(2, *shape)).shape == (2, 3)
    flat = CNN1d(shape, 3, channels=[4, 8], pool_size=3, global_pooling=False, batch_norm=False)
    assert flat(torch.zeros(2, *shape)).shape == (2, 3) and flat.head[-1].in_features == 8
    for wrong, words in (
        ({"kernel_size": 4}, "model.kernel_size=4: must be odd, such as 5"),
        (
            {"channels": [2] * 4},
            r"model.channels=\[2, 2, 2, 2\]: sequences of 9 steps are too short for 4 sta",
        ),
    ):
        with pytest.raises(RequestError, match=words):
            CNN1d(shape, 3, **wrong)
    with pytest.raises(RequestError, match=r"model=cnn1d: needs sequences .* are \(1, 8, 8\); try model=cnn$"):
        CNN1d((1, 8, 8), 3)


@pytest.mark.slow  # tests/test_readme.py trains on such files, too
def test_signals_are_trained_on(compose, own_files):
    words = ["model=cnn1d", "model.channels=[16,16]", *own_files["arrays"], "trainer.max_epochs=6"]
    result = train(compose("data=arrays", *words, pictures=False))
    assert result.metrics["test/accuracy"] > 0.9
    assert result.found["guesses"][1]["value"] == "(N, channels, time)"
