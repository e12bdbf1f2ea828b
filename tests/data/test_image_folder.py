"""A folder of images: how it is read, what is left out and told, the cache, and what is refused."""

import json
import os
import re

import numpy as np
import pytest
import torch
from asking import export
from own_files import photos
from PIL import Image

import litlab
from litlab.data.image_folder import ImageFolder
from litlab.data.labels import suggest_task
from litlab.data.reading import image_cache
from litlab.data.reading.images import decode, fit
from litlab.errors import RequestError, RunError
from litlab.verbs.train import train


@pytest.fixture
def data(tmp_path):
    """Of the folder `photos`, with its cache beside it."""
    return lambda **settings: ImageFolder(
        **{"root": str(tmp_path / "photos"), "data_dir": tmp_path / "data", "test_size": 0.2} | settings
    )


def refusal(build):
    with pytest.raises(RequestError) as error:
        build().raw_splits()
    return str(error.value)


def save(file, pixels, **settings):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, **settings)


def test_a_folder_per_class(data, tmp_path):
    photos(tmp_path / "photos")
    folder = data(val_size=10, normalize=True)
    assert (folder.input_shape, folder.num_outputs, folder.class_names) == ((3, 12, 10), 3, ("cat", "dog", "fox"))
    assert folder.guesses[1:3] == [
        ("size", "12x10", "all are 12x10", "data.size=32, or data.size=[32,48]"),
        ("channels", "colour", "all images are in colour", "converting the files"),
    ]
    folder.setup()
    inputs, labels = folder.raw_splits()["train"]
    assert (inputs.dtype, len(inputs), folder.remarks) == (torch.uint8, 38, [])
    for image, label in zip(inputs.split(1), labels.tolist(), strict=True):  # each image has its own label
        assert image[0, :, 2:-2, 2:-2].mean((1, 2)).argmax() == label
    mean, std = folder.statistics
    assert torch.equal(folder.splits["train"].inputs[:], (inputs[:] - mean) / std)
    raw = decode(tmp_path / "photos" / "cat" / "000.png", 3)
    assert torch.equal(folder.spec.prepare(raw), (torch.from_numpy(raw)[None].float() - mean) / std)


def test_sizes_and_modes_become_one(data, tmp_path):
    """Grey stays grey, a portrait photo is turned and padded with the usual border, 16 bits and alpha are read."""
    folder, exif = tmp_path / "photos", Image.Exif()
    exif[0x0112] = 6
    for number in range(5):
        save(folder / "a" / f"{number}.png", np.full((40, 20), 200))
        save(folder / "b" / f"{number}.bmp", np.full((40, 20), 100))
    save(folder / "b" / "turned.jpg", np.full((30, 30), 90), exif=exif)
    (folder / "b" / "wide.tif").write_bytes(b"of another kind")
    Image.fromarray(np.full((8, 8), 256 * 50, np.uint16)).save(folder / "b" / "deep.png")
    small = data()
    assert small.input_shape == (1, 40, 20) and small.guesses[2].reason == "all images are grey"
    assert small.guesses[1].reason == "the median is 40x20"
    assert small.remarks == ["left out 1 file of other kinds (.tif 1)"]
    pixels = small.opened.pixels
    assert pixels[-1, 0, 19:21].unique().tolist() == [90] and pixels[-1, 0, 0].unique().tolist() == [100]  # padded
    assert pixels[10, 0, 20].unique().tolist() == [50]
    save(folder / "a" / "colour.webp", np.full((300, 400, 3), 200), lossless=True)
    assert data(size=8).input_shape == (3, 8, 8) and data(size=[4, 9]).input_shape == (3, 4, 9)
    assert data().guesses[2].reason == "1 of 13 are in colour"
    save(folder / "a" / "colour.webp", np.full((20, 20, 3), 200), lossless=True)
    for number in range(20):
        save(folder / "a" / f"large{number}.png", np.full((300, 400), 200))
    assert data().input_shape == (3, 48, 64)
    assert data().guesses[1].reason == "the median is 300x400, and 64 the longest side that is chosen by itself"


def test_what_is_left_out_is_told_at_once_and_nothing_else_is_lost(data, tmp_path):
    folder = photos(tmp_path / "photos")
    whole = (folder / "cat" / "000.png").read_bytes()
    (folder / "cat" / "bad.png").write_text("no image")
    (folder / "dog" / "cut.png").write_bytes(whole[:200])
    (folder / "dog" / "\x1b[2J.png").write_bytes(b"")
    (folder / "fox" / ".hidden.png").write_bytes(b"")
    (folder / "empty").mkdir()
    (folder / "lying.png").write_bytes(whole)
    (folder / "fox" / "link.png").symlink_to(folder / "cat" / "000.png")
    (folder / "fox" / "loop").symlink_to(folder)
    os.mkfifo(folder / "fox" / "pipe.png")
    read = data()
    assert len(read.opened.pixels) == 61, "a link to a file is followed, one to a folder is not"
    assert read.class_names == ("cat", "dog", "fox")
    directly, empty, broken = read.remarks
    assert directly == "left out 1 file directly in photos, in no folder of a class"
    assert empty == "left out folders without a file that counts: empty"
    assert broken.startswith("left out 3 of 64 files: cat/bad.png is no PNG, JPEG, BMP or WebP image, or is damaged, ")
    assert "dog/\\x1b[2J.png is" in broken and "dog/cut.png is damaged" in broken and broken.isprintable()


def test_folders_of_splits_are_the_splits(data, tmp_path):
    root = tmp_path / "photos"
    for part, count in (("train", 30), ("valid", 12), ("test", 9)):
        photos(root / part, count)
    save(root / "test" / "yak" / "1.png", np.zeros((3, 3)))
    folder = data(val_size=0.5)
    splits = folder.raw_splits()
    assert {part: len(split.inputs) for part, split in splits.items()} == {"train": 30, "val": 12, "test": 9}
    assert folder.has_validation and data(val_size=0).has_validation
    assert folder.guesses[0].value == "folders train, valid, test, each with a folder per class"
    assert folder.remarks == ["left out 1 file of classes that the training files lack: yak"]
    assert refusal(lambda: data(folds=3)).endswith("has a validation split of its own; leave folds out")
    for each in ("train", "valid"):  # a folder that is no split makes all of them classes
        (root / each).rename(root / f"{each}s")
    assert data().class_names == ("tests", "trains", "valids") or data().class_names == ("test", "trains", "valids")


def test_metadata_names_the_files(data, tmp_path):
    root = photos(tmp_path / "photos", 12)
    files = [path.relative_to(root) for path in root.glob("*/*")]
    rows = [f"{file},{'x' if number < 6 else '=cmd()'}" for number, file in enumerate(files)]
    (root / "metadata.csv").write_text("\n".join(["file_name,kind", *rows, "no.png,x", "cat/003.png,", ",x"]))
    folder = data(label="kind")
    assert folder.class_names == ("=cmd()", "x") and len(folder.opened.pixels) == 12
    assert folder.remarks == [
        "metadata.csv names 2 files that cannot be found: no.png, (no name)",
        "left out 1 file without a kind in metadata.csv",
    ]
    assert data(label="kind", task="litlab.tasks.binary.Binary").num_outputs == 1


def aged(root, count=60, label=lambda number: f"{number * 7 % 50 + 0.5}"):
    """Photos of a folder, and metadata.csv with an age each."""
    photos(root, count, classes=("all",))
    rows = [f"all/{number:03}.png,{label(number)}" for number in range(count)]
    (root / "metadata.csv").write_text("\n".join(["file_name,age", *rows]))
    return root


def test_numbers_in_metadata_are_a_regression(data, tmp_path):
    root = aged(tmp_path / "photos", label=lambda number: "old" if number == 3 else number * 7 % 50 + 0.5)
    folder = data(label="age")
    assert (folder.num_outputs, folder.class_names, folder.target_name) == (1, None, "age")
    targets = torch.cat([split.targets for split in folder.raw_splits().values()])
    expected = sorted(number * 7 % 50 + 0.5 for number in range(60) if number != 3)
    assert targets.dtype == torch.float32 and targets.sort().values.tolist() == expected
    assert folder.remarks == ["left out 1 file whose age is no number"]
    assert folder.guesses[0] == ("labels", "the labels of metadata.csv", "numbers", "data.label=COLUMN")
    assert folder.guesses[-1] == ("task", "regression", "51 different numbers", "task=binary, task=classification")
    settings = {"root": str(root), "label": "age"}
    assert suggest_task(settings) == ["task=regression"]
    for label in (lambda n: n % 3, lambda n: f"name{n % 7}", lambda n: ["1.5", "2.5"][n % 2]):
        aged(root, label=label)
        assert suggest_task(settings) == ["task=classification"] and data(label="age").class_names
    guess = data(label="age", task="litlab.tasks.regression.Regression").guesses[-1]
    assert guess == ("task", "regression", "as task= says", "task=binary, task=classification")
    aged(root)
    assert len(data(label="age", task="litlab.tasks.classification.Classification").class_names) == 50
    assert suggest_task({"root": str(tmp_path / "none")}) == suggest_task({}) == ["task=classification"]
    regression = {"task": "litlab.tasks.regression.Regression"}
    asked = f"data.root={root}: "
    for label, told in ((["a", "b"], "holds no numbers (a, b); set task=classification"), (["7", "7"], "has one")):
        aged(root, label=lambda n, label=label: label[n % 2])
        assert refusal(lambda: data(label="age", **regression)).startswith(
            f"{asked}the column age of metadata.csv {told}"
        )
    (root / "metadata.csv").unlink()
    photos(root)
    assert refusal(lambda: data(**regression)).endswith("its folders are classes; name the numbers in metadata.csv")


@pytest.mark.slow
def test_numbers_are_learned_and_predicted(program, tmp_path):
    """The brightness of an image, chosen without a word about the task."""
    rows = []
    for number in range(120):
        save(tmp_path / "photos" / f"{number}.png", np.full((8, 8), number * 2))
        rows.append(f"{number}.png,{number / 10}")
    (tmp_path / "photos" / "metadata.csv").write_text("\n".join(["file_name,grade", *rows]))
    words = ("data=image_folder", "data.root=photos", "data.label=grade", f"paths.data_dir={tmp_path / 'data'}")
    code, out, err = program("describe", *words)
    assert (code, err) == (0, "") and "Regression: from 1 x 8 x 8 values to 1 number, grade." in out
    small = ("threads=1", "logger=none", "trainer=cpu", "data.batch_size=16", "~callbacks.pictures")
    code, out, err = program("train", *words, "model=mlp", "trainer.max_epochs=30", *small)
    assert (code, err) == (0, "") and "task regression (120 different numbers)" in out
    code, out, err = program("predict", "run=last", "input=photos/70.png")
    name, predicted = out.splitlines()[1].split(",")
    assert name == "photos/70.png" and float(predicted) == pytest.approx(7.0, abs=0.7)
    code, out, err = program("evaluate", "run=last")
    assert (code, err) == (0, "") and "(as in the run)" in out


def broken_metadata(text):
    def write(root):
        photos(root, 6)
        (root / "metadata.csv").write_bytes(text if isinstance(text, bytes) else text.encode())

    return write


def only(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


HEAD = "data.root={root}: "
INSTEAD = "it must be a folder that holds a folder per class, CLASS/*.png, or metadata.csv"
NONE = f"holds no file .png/.jpg/.jpeg in a folder of its class; {INSTEAD}"
BROKEN = {
    "nothing": (lambda root: None, f"does not exist; {INSTEAD}"),
    "a file": (lambda root: root.write_text("x"), f"is a file; {INSTEAD}"),
    "empty": (lambda root: root.mkdir(), NONE),
    "empty classes": (
        lambda root: [(root / each).mkdir(parents=True) for each in "ab"],
        f"{NONE}; left out folders without a file that counts: a, b",
    ),
    "no classes": (
        lambda root: only(root, {"1.png": b"", "2.png": b""}),
        f"{NONE}; left out 2 files directly in photos, in no folder of a class",
    ),
    "other kinds": (
        lambda root: only(root, {"a/1.gif": b"", "b/2.txt": b"", "b/x": b""}),
        f"{NONE}; left out 3 files of other kinds (.gif 1, .txt 1, no suffix 1); left out folders without",
    ),
    "one class": (
        lambda root: photos(root, 3, classes=("cat",)),
        "holds one class, 'cat'; there is nothing to tell apart: a folder per class, two or more",
    ),
    "only broken": (
        lambda root: only(root, {"a/1.png": b"x", "b/2.png": b""}),
        "none of the 2 files is an image that can be read: a/1.png is no PNG, JPEG, BMP or WebP image, or is damaged",
    ),
    "metadata: no csv": (broken_metadata(b"\xff\xfe\x00a,b\n\x80"), "metadata.csv "),
    "metadata: empty": (broken_metadata(""), "metadata.csv cannot be read as CSV (empty CSV)"),
    "metadata: ragged": (broken_metadata("file_name,label\na,b,c,d\n"), "metadata.csv cannot be read as CSV ("),
    "metadata: no names": (
        broken_metadata("a,label\nx,y\n"),
        "metadata.csv has no column file_name, which names the files; it has a, label",
    ),
    "metadata: no labels": (
        broken_metadata("file_name,sort\ncat/000.png,y\n"),
        "metadata.csv has no column label; it has file_name, sort; set data.label",
    ),
    "metadata: outside": (
        broken_metadata("file_name,label\n../secret.png,a\n/etc/passwd,b\ncat\\..\\..\\x,c\n"),
        "metadata.csv names files outside of the folder: ../secret.png, /etc/passwd, cat\\..\\..\\x",
    ),
    "metadata: all missing": (
        broken_metadata("file_name,label\nx.png,a\ny.png,b\n"),
        f"{NONE}; metadata.csv names 2 files that cannot be found: x.png, y.png",
    ),
}


@pytest.mark.parametrize(("make", "told"), BROKEN.values(), ids=BROKEN)
def test_broken_folders_are_refused_in_one_line(data, tmp_path, make, told):
    make(tmp_path / "photos")
    said = refusal(data)
    assert said.startswith(HEAD.format(root=tmp_path / "photos") + told) and "\n" not in said and len(said) < 600


def test_wrong_settings_are_refused(data, tmp_path):
    photos(tmp_path / "photos", 6)
    assert refusal(lambda: data(root=None)) == "data.root=: name the folder of images, such as data.root=photos"
    assert refusal(lambda: data(size=[1, 2, 3])).startswith("data.size=[1, 2, 3]: must be one number, or height and ")
    assert "has 3 classes; use task=classification" in refusal(lambda: data(task="litlab.tasks.binary.Binary"))


# ---- the cache


@pytest.fixture
def decodings(monkeypatch):
    """How often the folder was decoded."""
    done, real = [], image_cache._decode
    monkeypatch.setattr(image_cache, "_decode", lambda *args: done.append(1) or real(*args))
    return done


def test_images_are_decoded_once_until_a_file_changes(data, tmp_path, decodings):
    root = photos(tmp_path / "photos", 12)
    first = data()
    pixels = first.opened.pixels.clone()
    assert torch.equal(data().opened.pixels, pixels) and len(decodings) == 1
    data(size=4).opened, data().opened
    assert len(decodings) == 2, "another size has a cache of its own"
    save(root / "cat" / "000.png", np.full((12, 10, 3), 7))
    assert data().opened.pixels[0].unique().tolist() == [7] and len(decodings) == 3
    assert torch.equal(first.opened.pixels, pixels), "a run that has the old images mapped keeps them"
    (root / "cat" / "000.png").unlink()
    assert len(data().opened.pixels) == 11 and len(decodings) == 4
    indices = (tmp_path / "data" / "images").glob("*/index.json")
    (index,) = (file for file in indices if "[11, 3, 12, 10]" in file.read_text())
    assert len(list(index.parent.glob("*.u8"))) == 1 and not list(index.parent.glob("*.aside"))
    for damage in ("{", json.dumps(json.loads(index.read_text()) | {"shape": [99, 3, 12, 10]})):
        index.write_text(damage)
        assert len(data().opened.pixels) == 11
    assert len(decodings) == 6


def test_a_decoding_that_fails_leaves_nothing(data, tmp_path, monkeypatch, decodings):
    photos(tmp_path / "photos", 6)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(image_cache, "_fitted", stop)
    with pytest.raises(KeyboardInterrupt):
        _ = data().opened
    monkeypatch.undo()
    assert {file.name for file in (tmp_path / "data").rglob("*") if file.is_file()} <= {".lock"}
    monkeypatch.setattr(image_cache, "SPARE", 1e18)
    with pytest.raises(RunError, match=r"the images need 0\.0 GB, more than is free; set paths\.data_dir, or data\.si"):
        _ = data().opened
    (tmp_path / "file").write_text("")
    said = refusal(lambda: data(data_dir=tmp_path / "file"))
    assert re.search(r"paths\.data_dir: \S+/file/images cannot be written", said)


def test_a_folder_is_trained_on_as_the_readme_says(compose, own_files):
    words = [*own_files["image_folder"], "trainer.max_epochs=8"]
    result = train(compose("data=image_folder", "model=cnn", *words, pictures=False))
    assert result.metrics["test/accuracy"] == 1.0
    assert [each["what"] for each in result.found["guesses"]] == ["labels", "size", "channels", "task"]
    assert result.found["notes"] == []


@pytest.mark.slow
def test_predictions_of_a_run_are_those_of_the_files(run, own_files):
    directory = run("data=image_folder", "model=cnn", *own_files["image_folder"], "trainer.max_epochs=8")
    exported, _ = export([f"run={directory}", "formats=safetensors,pt2"])
    assert (exported["inputs"], exported["failed"]) == ("the test split", {})
    loaded = litlab.load_run(directory)
    files = sorted((own_files[None] / "photos").glob("*/*.png"))
    background = loaded.data.appearance.background
    images = np.stack([fit(decode(file, 3, background), loaded.data.input_shape[1:], background) for file in files])
    assert loaded.labels(loaded.predict(images)) == [file.parent.name for file in files]
