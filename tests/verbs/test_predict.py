"""Predictions of a run for files: those of `load_run` to the bit, as timm writes them, and one line for what is bad."""

import functools
import importlib.util
import io
import json
import subprocess
import sys
import types
import warnings
from collections import Counter
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import polars as pl
import pytest
import torch
from asking import predict
from PIL import Image

import litlab
from litlab.data.frames import unseen_remarks
from litlab.data.inputs import open_inputs
from litlab.data.preprocessing.encoding import TableEncoding
from litlab.data.preprocessing.spec import DataSpec
from litlab.data.preprocessing.target import Target
from litlab.data.tensors import Split, TensorData
from litlab.errors import RequestError
from litlab.load import LoadedRun, Opened
from litlab.runs.report import print_predictions
from litlab.verbs import request
from litlab.verbs.predict import as_csv

TRUST = "trust=[test_predict_own]"


class Blobs(TensorData):
    """Dark images with a light spot on the left or on the right."""

    input_shape, num_outputs, class_names, pixel_max = (1, 8, 8), 2, ("left", "=right"), 255.0

    def load(self):
        labels = torch.arange(200) % 2
        images = torch.zeros(200, *self.input_shape)
        for number, label in enumerate(labels):
            images[number, :, 2:6, 4 * label + 1 : 4 * label + 3] = 0.6 + number / 500
        return Split(images, labels), None


class Colours(Blobs):
    """The same with three channels."""

    input_shape = (3, 8, 8)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setitem(sys.modules, "test_predict_own", sys.modules[__name__])
    for each in (Blobs, Colours):
        monkeypatch.setattr(each, "__module__", "test_predict_own")


@pytest.fixture(autouse=True)
def composed_once(monkeypatch):
    """A fifth of a second each."""
    monkeypatch.setattr(request, "compose", lambda name, words: compose_once(name, tuple(words)))


compose_once = functools.cache(request.compose)


@pytest.fixture
def blobs(run):
    """A run that tells left from right."""

    def trained(name="Blobs", **settings):
        data = {"_target_": f"test_predict_own.{name}", "val_size": 20, "test_size": 40, "normalize": True, **settings}
        return run("data=digits", "model=linear", "trainer.max_epochs=2", data=data, trust=["test_predict_own"])

    return trained


@pytest.fixture
def pictures(tmp_path):
    """Twelve of the images as arrays (N, 8, 8), uint8, and a folder with their files."""
    images = (Blobs().load()[0].inputs[:12, 0] * 255).round().byte().numpy()
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / ("more" if number > 9 else "") / f"{number:02}.png")
    return images, folder


def table(found):
    return found.frame.to_dicts()


def test_a_folder_is_predicted_to_the_bit_in_timms_columns(blobs, pictures):
    images, folder = pictures
    directory = blobs(eval_batch_size=5)
    expected = litlab.load_run(directory, trust=["test_predict_own"]).predict(images)
    found = predict([f"run={directory}", TRUST, f"input={folder}"])
    assert found.frame.columns == ["filename", "index", "label", "prob"]
    assert (found.faults, found.remarks, found.output) == (0, [], None)
    paths = [folder / f"{number:02}.png" for number in range(10)] + [folder / "more" / f"{n}.png" for n in (10, 11)]
    assert found.frame["filename"].to_list() == list(map(str, paths))
    assert found.frame["index"].to_list() == [number % 2 for number in range(12)]
    assert found.frame["label"].to_list() == ["left", "=right"] * 6
    assert np.array_equal(found.frame["prob"].to_numpy(), expected.amax(1).numpy())
    top = predict([f"run={directory}", TRUST, f"input={folder}", "topk=5", "batch_size=5"]).frame
    assert top.columns == ["filename", "index_0", "index_1", "label_0", "label_1", "prob_0", "prob_1"]
    assert np.array_equal(top.select("prob_0", "prob_1").to_numpy(), expected.sort(descending=True).values.numpy())
    some = predict([f"run={directory}", TRUST, f"input={folder}/more/*.png", f"input=[{paths[0]},{paths[3]}]"])
    assert some.frame["filename"].to_list() == list(map(str, [*paths[10:], paths[0], paths[3]]))


def test_images_of_any_kind_are_fitted_and_strange_ones_are_told(blobs, pictures, tmp_path):
    images, _ = pictures
    run, image = [f"run={blobs()}", TRUST], Image.fromarray(images[0])
    plain = predict([*run, f"input={tmp_path}/pictures/00.png"]).frame["prob"][0]
    saved = {
        "16 bits.png": Image.fromarray(images[0].astype(np.uint16) * 257),
        "colour.bmp": image.convert("RGB"),
        "wide.png": Image.fromarray(np.pad(images[0], ((0, 0), (8, 8)))).resize((24, 8)).crop((8, 0, 16, 8)),
    }
    inverted = tmp_path / "inverted.png"
    Image.fromarray(255 - images[0]).save(inverted)
    transparent = tmp_path / "ink.png"  # black on nothing
    Image.merge("LA", (Image.new("L", (8, 8)), image)).save(transparent)
    for name, each in saved.items():
        each.save(tmp_path / name)
        found = predict([*run, f"input={tmp_path / name}"])
        assert found.frame["prob"][0] == plain and found.remarks == []
    for file in (inverted, transparent):
        told = predict([*run, f"input={file},{tmp_path}/pictures/00.png"]).remarks
        assert len(told) == 1 and told[0].startswith("1 of 2 images look unlike those of the training, whose backgr")
        assert told[0].endswith("(0: black, 255: white); with invert=true 1 of them would not")
        turned = predict([*run, f"input={file}", "invert=true"])
        assert turned.frame["prob"][0] == plain and turned.remarks == []
    told = predict([*run, f"input={tmp_path}/pictures", "invert=true"]).remarks
    assert "12 of them would not without invert=true" in told[0]
    tall = tmp_path / "tall.jpg"  # twice as tall: between bars of the training's background
    image.resize((80, 160)).save(tall)
    found = predict([*run, f"input={tall}"])
    assert found.frame["label"][0] == "left" and found.remarks == []


def test_arrays_are_predicted_and_inverted_like_files(blobs, pictures, tmp_path):
    images, _ = pictures
    run = [f"run={blobs('Colours')}", TRUST]
    expected = litlab.load_run(run[0][4:], trust=["test_predict_own"]).predict(np.stack([images] * 3, axis=3))
    batch = np.stack([images] * 3, axis=1)
    np.save(tmp_path / "bytes.npy", batch)
    np.save(tmp_path / "last.npy", np.asfortranarray(batch.transpose(0, 2, 3, 1)))
    np.save(tmp_path / "floats.npy", (batch / 255).astype(">f4"))
    np.save(tmp_path / "inverted.npy", 255 - batch)
    np.savez_compressed(tmp_path / "two.npz", inputs=batch, other=np.zeros(3))
    np.savez(tmp_path / "only.npz", x=batch)
    for words in ("bytes.npy", "last.npy", "floats.npy", "inverted.npy invert=true", "two.npz", "only.npz key=x"):
        name, *others = words.split()
        found = predict([*run, f"input={tmp_path / name}", *others])
        assert found.frame.columns == ["row", "index", "label", "prob"] and found.remarks == []
        assert found.frame["row"].to_list() == list(range(12))
        assert np.array_equal(found.frame["prob"].to_numpy(), expected.amax(1).numpy()), words
    np.save(tmp_path / "one.npy", batch[0])
    assert len(predict([*run, f"input={tmp_path / 'one.npy'}"]).frame) == 1
    broken = (batch / 255).astype("float32")
    broken[3, 0, 0, 0] = np.nan
    np.save(tmp_path / "nan.npy", broken)
    found = predict([*run, f"input={tmp_path / 'nan.npy'}", "batch_size=4"])
    assert found.faults == 1 and found.frame["row"].to_list() == [0, 1, 2, *range(4, 12)]


def test_tables_are_read_by_their_columns(run, tmp_path, monkeypatch, capsys):
    from sklearn.datasets import load_breast_cancer

    values = load_breast_cancer().data[:9]
    directory = run("data=breast_cancer", "model=mlp")
    loaded = litlab.load_run(directory)
    expected = loaded.predict(values).numpy()
    names = list(loaded.data.feature_names)
    frame = pl.DataFrame({"who": [f"p{number}" for number in range(9)]}).hstack(
        pl.DataFrame(values[:, ::-1], names[::-1])
    )
    frame.write_csv(tmp_path / "a.csv")
    frame.write_csv(tmp_path / "a.tsv", separator="\t")
    frame.write_csv(tmp_path / "b.csv", separator=";", include_bom=True)
    frame.write_parquet(tmp_path / "a.parquet")
    stdin = types.SimpleNamespace(buffer=io.BytesIO((tmp_path / "a.csv").read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    probability = np.where(expected > 0.5, expected, 1 - expected)
    for name in (tmp_path / "a.csv", tmp_path / "a.tsv", tmp_path / "b.csv", tmp_path / "a.parquet", "-"):
        found = predict([f"run={directory}", f"input={name}"])
        assert found.remarks == ["columns that the run was not trained on are left out: who"]
        assert found.frame["index"].to_list() == (expected > 0.5).astype(int).tolist()
        assert found.frame["label"].to_list() == loaded.labels(torch.from_numpy(expected))
        assert np.array_equal(found.frame["prob"].to_numpy(), probability)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    lines[2] = lines[2].replace("p1,", "p1,x", 1)
    (tmp_path / "bad.csv").write_text("\n".join(lines))
    assert found.agreement == ""
    with_truth = frame.drop("who").with_columns(label=pl.Series(load_breast_cancer().target[:9]))
    with_truth.write_csv(tmp_path / "known.csv")
    known = predict([f"run={directory}", f"input={tmp_path / 'known.csv'}", "topk=2"])
    right = int((known.frame["truth"] == known.frame["label_0"]).sum())
    assert known.frame["truth"].to_list() == ["malignant"] * 9 and known.remarks == []
    assert known.agreement == f"beside the truth of 9 rows: {right} right ({right / 9:.1%})"
    print_predictions(known.frame, None, 0.1)
    assert "truth" in capsys.readouterr().out
    found = predict([f"run={directory}", f"input={tmp_path / 'bad.csv'}"])
    assert found.faults == 1 and found.frame["row"].to_list() == [0, *range(2, 9)]
    assert capsys.readouterr().err.startswith(f"error: row 1: column '{names[-1]}' holds 'x0.")
    for file, message in (("x.csv", "a,b\n1,2\n"), ("y.csv", ""), ("z.csv", lines[0] + "\n")):
        (tmp_path / file).write_text(message)
    refused(
        f"run={directory} input={tmp_path}/x.csv", r"^input: the table has no columns 'mean radius', .*; it has a, b$"
    )
    refused(f"run={directory} input={tmp_path}/y.csv", r"y\.csv: is empty$")
    refused(f"run={directory} input={tmp_path}/z.csv", r"z\.csv: has no rows$")
    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    refused(
        f"run={directory} input={tmp_path}/a.png",
        r"^input=.*/a\.png: an image file; the run was trained on 30 columns: name a file of",
    )
    refused(f"run={directory} input={tmp_path}/a.csv invert=true", "^invert=true: is for images; the run was trained")


def test_categories_never_seen_are_told_once_for_each_column(tmp_path):
    street = [f"street {number // 2}" for number in range(100)]
    frame = pl.DataFrame({"city": ["Paris", "Nice"] * 50, "street": street, "area": np.arange(100) + 0.5})
    encoding = TableEncoding.fit(frame, Target("price", "regression", "", ()), {"street": "category"})
    trained = DataSpec("Own", (len(encoding.names),), 1, None, encoding.names, "price", *[None] * 4, 8, table=encoding)
    (tmp_path / "a.csv").write_text("city,street,area\n" + "Rome,a,1\nParis,street 1,2\n" * 9 + "x\x1b,,3\nRome,b,x\n")
    inputs = open_inputs([tmp_path / "a.csv"], trained)
    unseen = sum((batch.unseen for batch in inputs.batches(4)), Counter())
    assert list(unseen_remarks(trained, unseen, inputs.count)) == [
        "column 'city': 10 of 20 rows have a value that the training split does not have (Rome, x\x1b); the model "
        "takes it as none of the 2 categories that it knows (zeros)",
        "column 'street': 10 of 20 rows have a value that the training split has once or never (a, (missing)); the "
        "model takes it as none of the 50 categories that it knows (zeros)",
    ]
    assert not list(unseen_remarks(trained, Counter(), 20))


def test_a_file_is_read_as_training_reads_it(tmp_path):
    """Korean Excel's encoding, a column without a name, and free text."""
    frame = pl.DataFrame({"도시": ["서울", "부산"] * 50, "column 1": np.arange(100) / 8, "note": ["a b", "c"] * 50})
    encoding = TableEncoding.fit(frame, Target("값", "regression", "", ()), {"note": "text", "도시": "category"})
    spec = DataSpec("Own", (len(encoding.names),), 1, None, encoding.names, "값", *[None] * 4, 8, table=encoding)
    rows = "".join(f"{a};{str(b).replace('.', ',')};{c}\n" for a, b, c in frame[:9].iter_rows())
    (tmp_path / "a.csv").write_bytes(f"도시;;note\n{rows}".encode("cp949"))
    (batch,) = open_inputs([tmp_path / "a.csv"], spec).batches(16)
    assert not batch.faults and torch.equal(batch.inputs, spec.prepare(frame[:9]))
    assert batch.inputs.unique(dim=0).shape == batch.inputs.shape and batch.inputs.shape[0] == 9


class Sums(torch.nn.Module):
    """What `predict` needs of a task."""

    device, dtype = torch.device("cpu"), torch.float32

    def forward(self, inputs):
        return inputs.sum(1)

    def predictions(self, outputs):
        return outputs


def test_a_loaded_run_warns_in_the_same_words_where_it_is_called():
    frame = pl.DataFrame({"city": ["Paris", "Nice"] * 50, "kind": ["a", "b"] * 50})
    encoding = TableEncoding.fit(frame, Target("price", "regression", "", ()))
    spec = DataSpec("Own", (4,), 1, None, encoding.names, "price", *[None] * 4, 8, table=encoding)
    loaded = LoadedRun(Path("run"), None)
    vars(loaded)["opened"] = Opened(None, spec, Sums(), None)
    rows = {"kind": ["a", "x\x1b", "b"], "city": ["Rome", "Rome", "Nice"]}
    with pytest.warns(UserWarning) as told:
        assert loaded.predict(rows).tolist() == [1, 0, 2]
    unseen = Counter({("city", "Rome"): 2, ("kind", "x\\x1b"): 1})
    assert [str(each.message) for each in told] == list(unseen_remarks(spec, unseen, 3))
    assert len(told) == 2 and {each.filename for each in told} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loaded.predict(frame).tolist() == [2] * 100


def test_a_regression_predicts_numbers_in_the_targets_unit(run, tmp_path):
    directory = run("data=exam_scores", "model=linear", "data.passes_per_epoch=1")
    (tmp_path / "a.csv").write_text("quiz 3,quiz 1,quiz 2\n75,73,80\n93,93,88\n")
    found = predict([f"run={directory}", f"input={tmp_path}/a.csv", f"output={tmp_path}/new/o.jsonl"])
    expected = litlab.load_run(directory).predict([[73.0, 80.0, 75.0], [93.0, 88.0, 93.0]]).flatten().tolist()
    assert table(found) == [{"row": row, "predicted final exam": value} for row, value in enumerate(expected)]
    written = [json.loads(line) for line in (tmp_path / "new" / "o.jsonl").read_text().splitlines()]
    assert [each["predicted final exam"] for each in written] == pytest.approx(expected, rel=1e-7)
    (tmp_path / "known.csv").write_text("quiz 1,final exam,quiz 2,quiz 3\n73,152,80,75\n93,,88,93\n")
    found = predict([f"run={directory}", f"input={tmp_path}/known.csv"])
    assert found.frame["actual final exam"].to_list() == [152, None] and found.remarks == []
    assert found.frame["predicted final exam"].to_list() == expected
    assert found.frame["residual"].to_list() == [pytest.approx(expected[0] - 152), None]
    assert found.agreement.startswith("beside the truth of 1 row: RMSE ")
    refused(f"run={directory} input={tmp_path}/a.csv topk=2", "^topk=2: a regression predicts numbers, not classes; le")


def test_every_format_is_read_again_and_nothing_is_lost(blobs, pictures, tmp_path):
    run = [f"run={blobs()}", TRUST, f"input={pictures[1]}/00.png,{pictures[1]}/01.png"]
    readers = {".csv": pl.read_csv, ".json": pl.read_json, ".jsonl": pl.read_ndjson, ".parquet": pl.read_parquet}
    for ending, read in readers.items():
        output = tmp_path / f"out{ending}"
        found = predict([*run, f"output={output}"])
        assert found.output == output
        right = "'=right" if ending == ".csv" else "=right"  # a spreadsheet would compute it
        assert read(output)["label"].to_list() == ["left", right]
        assert read(output)["prob"].to_list() == pytest.approx(found.frame["prob"].to_list(), rel=1e-7)
        before = output.read_bytes()
        refused(" ".join([*run, f"output={output}"]), "exists; name another file, or add overwrite=true$")
        assert output.read_bytes() == before
    output.write_text("old")
    assert predict([*run, f"output={output}", "overwrite=true"]).output == output and output.read_bytes() == before


def refused(words, message):
    with pytest.raises(RequestError, match=message) as error:
        predict(words.split())
    assert "\n" not in str(error.value) and str(error.value).isprintable()


def test_a_wrong_request_is_one_line(blobs, pictures, tmp_path):
    run = f"run={blobs()} {TRUST} input="
    for name in ("notes.txt", "empty/notes.txt", "x.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a,b\n1,2\n")
    np.save(tmp_path / "shape.npy", np.zeros((3, 5)))
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "text.npy", np.array(["a"]))
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.zeros(3))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "shape.npy").read_bytes()[:-9])
    (tmp_path / "no.npz").write_bytes(b"hello")
    for words, message in {
        f"{run}{tmp_path}/none.png": r"none\.png: there is no such file; name images \(\.png",
        f"{run}{tmp_path}/none*.png": r"none\*\.png: there is no such file",
        run: "^input=: name an image, several",
        f"{run}{tmp_path}/notes.txt": r"notes\.txt: is of no kind that is known, which are images \(\.png",
        f"{run}{tmp_path}/empty": r"empty: has no image \(\.png, .*; name another folder$",
        f"{run}{tmp_path}/x.csv,{pictures[1]}": r"^input=: of several files all must be images, not \.csv; name one$",
        f"{run}{tmp_path}/x.csv": "^a table has rows of columns; the run was trained on images of 8x8 with 1 channel$",
        f"{run}{tmp_path}/shape.npy": r"^the inputs have the shape \(3, 5\); .* must be .*\(N, 8, 8\)",
        f"{run}{tmp_path}/object.npy": r"object\.npy: cannot be read \(",
        f"{run}{tmp_path}/text.npy": r"text\.npy: holds str32; an array of numbers is needed$",
        f"{run}{tmp_path}/cut.npy": r"cut\.npy: cannot be read \(",
        f"{run}{tmp_path}/no.npz": r"no\.npz: cannot be read \(File is not a zip file\)$",
        f"{run}{tmp_path}/two.npz": r"two\.npz: has no array called inputs; choose with key= from a, b$",
        f"{run}{pictures[1]} key=a": r"^key=a: names an array in an \.npz file; leave it out$",
        f"{run}{pictures[1]} topk=0": "^topk=0: must be a whole number from 1, such as topk=5$",
        f"{run}{pictures[1]} batch_size=-1": "^batch_size=-1: must be a whole number from 1",
        f"{run}{pictures[1]} invert=perhaps": "^invert=perhaps: must be true or false$",
        f"{run}{pictures[1]} top_k=5": r"^top_k=5: a prediction takes .* \(did you mean topk\?\)$",
        f"{run}{pictures[1]} output=o.txt": r"^output=o\.txt: must end with \.csv, \.json, \.jsonl, \.parquet$",
        f"run=nowhere input={pictures[1]}": "^run=nowhere: there is no such directory",
        f"input={pictures[1]}": "^run=: name the directory of a run",
    }.items():
        refused(words, message)


def test_an_npz_that_promises_more_than_it_holds_takes_no_memory(blobs, tmp_path):
    run = f"run={blobs()} {TRUST} input="
    for name, shape, message in (
        ("lie.npz", (10**6, 1, 8, 8), r"declares 512,000,000 bytes, and at most 99 are there\)$"),
        ("bomb.npz", (10**9, 1, 8, 8), r"declares 512,000,000,000 bytes, and at most 4,294,967,296 are read\)$"),
    ):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
        with ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("inputs.npy", header.getvalue()[:128].ljust(99, b"\0"))
        refused(f"{run}{tmp_path / name}", message.replace("99", str(len(header.getvalue()))))


def test_a_run_of_an_older_litlab_takes_arrays_alone(blobs, pictures, tmp_path):
    from litlab.data.preprocessing.spec import KEY
    from litlab.runs.checkpoints import AtomicCheckpointIO, read_checkpoint

    images, folder = pictures
    directory = blobs()
    for path in (directory / "checkpoints").glob("*.ckpt"):
        checkpoint = read_checkpoint(path)
        assert checkpoint[KEY].pop("appearance")["background"] == [0.0]
        AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    np.save(tmp_path / "a.npy", images)
    words = f"run={directory} {TRUST} input={tmp_path}/a.npy"
    assert len(predict(words.split()).frame) == 12
    refused(f"{words} invert=true", "^input=: an older litlab trained the run, so the looks of its images are unknown")
    refused(f"run={directory} {TRUST} input={folder}", "unknown; train it again, or name an array$")


@pytest.fixture
def script(root, monkeypatch, capsys):
    """scripts/predict.py in this process: exit code, stdout, stderr."""
    spec = importlib.util.spec_from_file_location("predict_script", root / "scripts" / "predict.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def called(*words):
        monkeypatch.setattr(sys, "argv", ["predict.py", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            litlab.cli.run_script(module.main)
            sys.exit(0)
        printed = capsys.readouterr()
        return end.value.code, printed.out, printed.err

    return called


def test_bad_files_are_told_and_the_others_are_done(blobs, pictures, script, monkeypatch):
    _, folder = pictures
    (folder / "05.png").write_bytes(b"hello")
    (folder / "06.png").write_bytes((folder / "07.png").read_bytes()[:45])
    (folder / "\x1b[31m.png").write_bytes(b"hello")
    (folder / ".hidden.png").write_bytes(b"hello")
    (folder / "notes.txt").write_text("")
    run = [f"run={blobs()}", TRUST]
    code, out, err = script(*run, f"input={folder}")
    assert code == 1
    rows = out.splitlines()
    assert rows[0] == "filename,index,label,prob" and len(rows) == 11
    assert rows[1].startswith(f"{folder}/00.png,0,left,0.") and ",1,'=right,0." in rows[2]
    errors = err.splitlines()
    assert errors[0] == rf"error: {folder}/\x1b[31m.png: is no PNG, JPEG, BMP or WebP image, or is damaged"
    assert [line.partition(".png: ")[0][-2:] for line in errors[:-1]] == ["1m", "05", "06"]
    assert errors[-1] == f"warning: {folder}: files that are no images are left out (1)"
    code, out, err = script(*run, f"input={folder}/05.png")
    assert (code, out, err.count("\n")) == (1, "", 1)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, err = script(*run, f"input={folder}/00.png,{folder}/01.png", "topk=2")
    assert code == 0 and "2 predicted in " in out and "left 0." in out and "=right 0." in out


def test_a_terminal_shows_the_first_rows(capsys, tmp_path):
    count = 50
    frame = pl.DataFrame(
        {"row": range(count), "index": [1] * count, "label": ["[b]x\x1b"] * count, "prob": [0.123456] * count}
    )
    print_predictions(frame, None, 1.25)
    shown = capsys.readouterr().out
    assert r"[b]x\x1b   0.1235" in shown and " 39 " in shown and " 40 " not in shown
    print_predictions(pl.DataFrame({"row": [0], "truth": [None], "label": ["a"]}), None, 1.0)
    assert " 0   -       a " in capsys.readouterr().out
    assert "... and 10 more; output=predictions.csv writes all\n50 predicted in 1.2 s\n" in shown
    assert as_csv(pl.DataFrame({"=a": ["@b\x1b", "-1"]})) == "'=a\n'@b\\x1b\n-1\n"


@pytest.mark.slow
def test_a_table_goes_through_a_pipe(root, run):
    """In a process: CSV in, CSV out, which a reader may leave early; and a wrong request."""
    directory = run("data=exam_scores", "model=linear", "data.passes_per_epoch=1")
    content = "quiz 1,quiz 2,quiz 3\n" + "73,80,75\n" * 30_000
    command = [sys.executable, root / "scripts/predict.py", f"run={directory}", "input=-"]
    done = subprocess.run(command, input=content, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("row,predicted final exam\n0,") and done.stdout.count("\n") == 30_001
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as early:
        early.stdin.write(content.encode())
        early.stdin.close()
        assert early.stdout.readline() == b"row,predicted final exam\n"
        early.stdout.close()
        assert early.stderr.read() == b""
    done = subprocess.run([*command[:3], "input=none.csv"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
