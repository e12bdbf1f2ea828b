"""Texts of one's own: columns and folders, tokens that equal texts share, and prediction of new ones."""

import pytest
import torch
from own_files import reviews

import litlab
from litlab.data.preprocessing.spec import DataSpec
from litlab.data.preprocessing.text_encoding import TextEncoding
from litlab.data.text import Texts
from litlab.errors import RequestError
from litlab.models.embedding_bag import EmbeddingBag

ENCODING = TextEncoding(6, 1000, (1, 2))


def refusal(build):
    with pytest.raises(RequestError) as error:
        build().raw_splits()
    return str(error.value)


def test_tokens_are_hashes_of_words_and_pairs():
    one, same, short, empty, long = ENCODING.encode(["The film", "the  FILM!", "film", "", "a b c d ee ff gg hh ii jj"])
    assert one.tolist() == same.tolist() and (one > 0).sum() == 3 and one[:3].tolist() == sorted(one[:3].tolist())
    assert (short > 0).sum() == 1 and short[0] in one and empty.tolist() == [0] * 6
    assert (long > 0).all() and long.max() < 1000 and long.dtype == torch.int64
    assert TextEncoding.fit(["a film", "the dull film"], 1000, (1, 1), 9).length == 3
    assert (ENCODING.encode(["dull dull dull"]) > 0).sum() == 5  # what is said twice counts twice
    for wrong in ("a text", [1, 2], [None]):
        with pytest.raises(RequestError, match="the inputs must be a list of texts, such as "):
            ENCODING.encode(wrong)


def test_a_table_of_texts(tmp_path):
    file = reviews(tmp_path / "reviews.csv", 50)
    with file.open("a") as more:
        more.write(",,positive\n,words,\n")
    data = Texts(file=str(file), test_size=10)
    assert (data.class_names, data.num_outputs, data.num_tokens) == (("negative", "positive"), 2, 16384)
    assert [each[:3] for each in data.guesses[:2]] == [
        ("texts", "review", "by its name"),
        ("labels", "sentiment", "by its name"),
    ]
    assert data.remarks == ["left out 2 of 52 rows, without a text or a label"]
    splits = data.raw_splits()
    assert (len(splits["train"].inputs), splits["train"].inputs.dtype) == (40, torch.int64)
    spec = data.spec
    again = DataSpec.from_dict(spec.as_dict())
    assert again == spec and again.text == data.text
    assert torch.equal(again.prepare("a dull film"), data.text.encode(["a dull film"]))
    longest = Texts(file=str(file), test_size=10, target="id", task="litlab.tasks.regression.Regression")
    assert longest.spec.target_kind == "regression"
    assert Texts(file=str(file), task="litlab.tasks.binary.Binary").num_outputs == 1
    adopted = Texts(file=str(file), test_size=10)
    adopted.adopt(DataSpec.from_dict(spec.as_dict() | {"text": {"length": 3, "num_tokens": 16384, "ngrams": [1, 1]}}))
    assert adopted.input_shape == (3,)


def test_columns_without_usual_names(tmp_path):
    (tmp_path / "a.csv").write_text("q,r\n" + "".join(f"{n % 2},the {n} words here\n" for n in range(30)))
    data = Texts(file=str(tmp_path / "a.csv"), test_size=10)
    assert [each[:3] for each in data.guesses[:2]] == [
        ("texts", "r", "it has the longest texts"),
        ("labels", "q", "it is the other column"),
    ]


def test_a_folder_of_texts(tmp_path):
    for part in ("train", "test"):
        for number in range(12):
            file = tmp_path / part / ("bad", "good")[number % 2] / f"{number}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"text {number % 2} {number}")
    (tmp_path / "train" / "bad" / "x.txt").write_bytes(b"\xff\xff")
    (tmp_path / "train" / "bad" / "y.txt").write_bytes(b"a" * 2**20 + b"a")
    data = Texts(root=str(tmp_path))
    splits = data.raw_splits()
    assert [len(splits[part].inputs) for part in ("train", "val", "test")] == [12, 0, 12]
    assert splits["test"].targets.tolist() == [0] * 6 + [1] * 6 and data.class_names == ("bad", "good")
    (told,) = data.remarks
    assert told.startswith("left out 2 files that cannot be read as UTF-8: train/bad/x.txt ('utf-8' codec can't dec")
    assert "train/bad/y.txt (is larger than 1 MB)" in told


BROKEN = {
    "nothing": ({}, "data.file=: name a table, such as data.file=reviews.csv, or a folder, data.root"),
    "both": ({"file": "a", "root": "b"}, "data.file=: name a table"),
    "no file": ({"file": "{}/no.csv"}, "data.file={}/no.csv: "),
    "no folder": ({"root": "{}/no"}, "data.root={}/no: does not exist; "),
    "no such text": (
        {"file": "{}/a.csv", "text": "revew"},
        "data.text=revew: there is no such column (did you mean ",
    ),
    "no such target": ({"file": "{}/a.csv", "target": "x"}, "data.target=x: there is no such column"),
    "which target": ({"file": "{}/b.csv"}, "data.target=: name the column of the labels; there are review, a, b"),
    "no texts": ({"file": "{}/c.csv"}, "data.text=: name the column of the texts; there are a, b"),
    "one label": (
        {"file": "{}/d.csv"},
        "data.target=label: is x in every row that has one; there is nothing ",
    ),
    "one class": ({"root": "{}/one"}, "data.root={}/one: holds one class, 'a'; there is nothing to tell apart"),
    "no text": ({"root": "{}/none"}, "data.root={}/none: no file can be read: a/1.txt ('utf-8' codec"),
    "ngrams": ({"file": "{}/a.csv", "ngrams": (3, 1)}, "data.ngrams=[3, 1]: from and to, such as [1,2]"),
}


@pytest.mark.parametrize(("settings", "told"), BROKEN.values(), ids=BROKEN)
def test_broken_texts_are_refused_in_one_line(tmp_path, settings, told):
    reviews(tmp_path / "a.csv", 10)
    for name, rows in {
        "b.csv": "review,a,b\nsome words,1,2\nmore words,3,4\n",
        "c.csv": "a,b\n1,2\n3,4\n",
        "d.csv": "text,label\nsome words,x\nmore words,x\n",
        "one/a/1.txt": "x",
        "none/a/1.txt": b"\xff",
        "none/b/1.txt": b"\xff",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(rows if isinstance(rows, bytes) else rows.encode())
    here = {name: value.format(tmp_path) if isinstance(value, str) else value for name, value in settings.items()}
    said = refusal(lambda: Texts(**here))
    assert said.startswith(told.format(tmp_path)) and "\n" not in said


def test_padding_does_not_count_and_order_neither():
    model = EmbeddingBag((4,), 3, 50, embedding_size=5, hidden_sizes=[6], dropout=0.5).eval()
    one, other = torch.tensor([[7, 9, 0, 0]]), torch.tensor([[9, 7, 0, 0, 0, 0]])
    assert torch.equal(model(one), model(other)) and model(one).shape == (1, 3)
    assert torch.isfinite(model(torch.zeros(2, 4, dtype=torch.int64))).all()


@pytest.mark.slow  # tests/test_readme.py trains on such files, too
def test_reviews_are_trained_on_and_new_ones_predicted(run, own_files):
    words = [*own_files["text"], "trainer.max_epochs=4", "data.passes_per_epoch=8"]
    loaded = litlab.load_run(run("data=text", *words))
    assert loaded.result.metrics["test/accuracy"] > 0.9
    texts = ["a great and funny film", "it was dull, weak and boring"]
    assert loaded.labels(loaded.predict(texts)) == ["positive", "negative"]
    torch.testing.assert_close(loaded.predict(texts[0]), loaded.predict(texts)[:1])
