"""Looking at data: counts hold for data made to have each fault. (Warnings: diagnostics/test_data_warnings.py.)"""

import json
import re

import pytest
import torch
from hydra import compose, initialize_config_dir

from litlab.cli import record
from litlab.config.choices import CONF
from litlab.data.columns import columns, describe_column
from litlab.data.tables import ExamScores
from litlab.data.tensors import Split, TensorData
from litlab.errors import RequestError
from litlab.verbs import describe

WAVE = torch.sin(torch.linspace(-torch.pi, torch.pi, 1000))


class Table(TensorData):
    """A table of 4 columns with one fault each, 40 rows."""

    input_shape, num_outputs, class_names = (4,), 2, ("no", "yes")
    feature_names = ("plain", "constant", "tail", "gaps")

    def load(self):
        inputs = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
        inputs[:, 1] = 3.0
        inputs[:, 2] = torch.tensor([0.0] * 39 + [1000.0])
        inputs[7, 3], inputs[8, 3] = float("nan"), float("inf")
        inputs[1] = inputs[0]
        labels = torch.tensor([0] * 35 + [1] * 5)
        return Split(inputs, labels), Split(inputs[:3].clone(), labels[:3])


class Series(TensorData):
    """A sequence of two channels: one with a gap, one constant."""

    input_shape, num_outputs, feature_names = (7, 2), 1, ("pulse", "breath")

    def load(self):
        inputs = torch.arange(10 * 7 * 2.0).reshape(10, 7, 2)
        inputs[..., 1] = 3.0
        inputs[4, 6, 0] = float("nan")
        return Split(inputs, torch.arange(10)), Split(inputs[:2].clone(), torch.arange(2))


def described(data):
    return describe.look(data, data.raw_splits())


def regression(inputs, outputs, name="target"):
    """Data of so many columns and numbers to predict, 20 rows."""

    class Numbers(TensorData):
        input_shape, num_outputs, target_name = (inputs,), outputs, name

        def load(self):
            return Split(torch.rand(20, inputs), torch.rand(20, outputs).squeeze(1)), None

    return Numbers()


def test_each_fault_of_a_table_is_found():
    result = described(Table())
    train, test = result["splits"]
    sizes = {"split": "train", "samples": 40, "inputs": "4 float32", "targets": "1 int64"}
    assert train == sizes | {"duplicates": 1, "also in train": None}
    assert (test["samples"], test["duplicates"], test["also in train"]) == (3, 1, 3)
    no, yes = result["classes"]
    assert no == {"class": "no", "train": 35, "test": 3, "share of train": 35 / 40}
    assert (yes["train"], yes["test"]) == (5, 0)
    plain, constant, tail, gaps = result["columns"]
    numbers = {"min": 3.0, "mean": 3.0, "max": 3.0, "std": 0.0, "skewness": 0.0}
    assert constant == {"name": "constant", **numbers, "values": "constant", "not finite": 0}
    assert (tail["max"], tail["mean"]) == (1000.0, 25.0)
    assert tail["skewness"] == pytest.approx(38 / 39**0.5, rel=1e-4)  # of one among 40
    assert (gaps["not finite"], plain["not finite"]) == (2, 0)
    assert (plain["values"], tail["values"], gaps["values"]) == ("real", "two", "real")
    assert result["faults"] == [
        "the train inputs hold NaN or infinite values in 2 of 40 samples (gaps); fix them in load()"
    ]
    assert result["relations"] == {"contradictions": 0, "equal columns": [], "telling columns": []}


def test_first_rows_have_the_columns_names_and_the_target_last():
    head = described(Table())["head"]
    assert list(head[0]) == ["plain", "constant", "tail", "gaps", "class"] and len(head) == 5
    assert (head[0]["constant"], head[4]["tail"], head[4]["class"]) == (3.0, 0.0, "0 (no)")
    lines = ExamScores(val_size=2, test_on_train=True, batch_size=2)
    found = described(lines)
    assert [list(row.values()) for row in found["head"][:2]] == [[73, 80, 75, 152], [93, 88, 93, 185]]
    assert list(found["head"][0])[-1] == "target: final exam"  # in the file's order, whatever the splits
    targets = lines.raw_splits()["train"].targets
    assert found["shapes"][0].endswith(f"; target {targets[0]:g}")
    assert found["shapes"][1] == "batch: 2 x 3, targets 2; 2 in a pass over the training split"
    assert described(Series())["head"] == []


def test_a_sequence_has_a_row_per_channel():
    result = described(Series())
    pulse, breath, target = result["columns"]
    assert (pulse["name"], pulse["min"], pulse["max"], pulse["not finite"]) == ("pulse", 0, 138, 1)
    assert (breath["name"], breath["min"], breath["max"]) == ("breath", 3, 3) and target["name"] == "target: y"
    assert result["faults"] == [
        "the train inputs hold NaN or infinite values in 1 of 10 samples (pulse); fix them in load()"
    ]


@pytest.mark.parametrize(
    ("values", "mean", "std", "skewness"),
    [
        (WAVE, 0.0, 0.5**0.5, 0.0),  # rounding is zero
        (1e-9 + 1e-12 * WAVE, 1e-9, 1e-12 * 0.5**0.5, None),  # and what is small stays
        (torch.tensor([-1e30, 0.0, 0.0, 3e30]), 5e29, 1.5e30, 8 / 9),  # powers that float32 has no room for
    ],
)
def test_statistics_are_rounded_by_the_scale_of_the_column(values, mean, std, skewness):
    row = describe_column("values", values)
    assert row["mean"] == pytest.approx(mean, rel=1e-6, abs=0) and row["std"] == pytest.approx(std, rel=0.01)
    assert skewness is None or row["skewness"] == pytest.approx(skewness, rel=1e-6, abs=0)


@pytest.mark.parametrize(
    ("given", "asked", "targets"),
    [
        ((1, 1), "from 1 value to 1 number.", ["target: y"]),
        ((2, 1, "price ($)"), "from 2 values to 1 number, price ($).", ["target: price ($)"]),
        ((1, 2, "place"), "from 1 value to 2 numbers, place.", ["target: place 0", "target: place 1"]),
    ],
)
def test_what_is_predicted_has_its_words(given, asked, targets):
    data = regression(*given)
    assert describe.question(data) == f"Regression: {asked}"
    assert [name for name in columns(data, data.load()[0]) if ":" in name] == targets


@pytest.mark.parametrize(
    ("inputs", "told"), [(39, "Values of the training split"), (60, "Values of the training split: 40 of 61 columns")]
)
def test_columns_that_are_not_drawn_are_told(inputs, told):
    data = regression(inputs, 1)
    figure = describe.draw_features(data, data.load()[0], 20)
    assert figure.get_suptitle() == told
    assert len(figure.axes) == 40 and figure.axes[-1].get_title() == "target: y"


def test_faulty_columns_are_drawn(tmp_path):
    describe.draw(Table(), Table().raw_splits(), tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"classes.png", "features.png"}


def test_data_are_refused_as_in_training(monkeypatch):
    with pytest.raises(RequestError, match="train inputs hold NaN or infinite values"):
        Table().setup()
    monkeypatch.setattr(Table, "input_shape", (3,))
    monkeypatch.setattr(Table, "feature_names", None)
    with pytest.raises(RequestError) as error:
        described(Table())
    assert str(error.value) == (
        "data=Table: load() returns train inputs of shape (40, 4); input_shape = (3,) needs (N, 3)"
    )


def test_the_command_prints_tables_and_leaves_pictures(tmp_path, capsys):
    run_dir = tmp_path / "run"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("describe", overrides=["data=digits", f"paths.run_dir={run_dir}"])
    record(config, describe.describe, "print_description")
    said = capsys.readouterr().out
    assert "Classification: from 1 x 8 x 8 values to one of 10 classes." in said
    assert "also in train" in said and "model=cnn" in said
    assert re.search(
        r"\nsample: 1 x 8 x 8 float32 from 0 to 1; class \d; its picture is the first of samples.png\n", said
    )
    assert "\nbatch: 64 x 1 x 8 x 8, targets 64; 20 in a pass over the training split\n" in said
    assert "first rows" not in said
    assert "columns (training split)" in said
    assert {file.name for file in (run_dir / "plots").iterdir()} == {"samples.png", "classes.png", "features.png"}
    result = json.loads((run_dir / "result.json").read_text())
    assert result["status"] == "completed"
    assert [row["samples"] for row in result["splits"]] == [1257, 180, 360]
    assert sum(row["train"] for row in result["classes"]) == 1257


def test_the_users_own_images_are_described_with_each_guess(own_files, tmp_path, capsys):
    words = ["data=image_folder", f"paths.run_dir={tmp_path / 'run'}", *own_files["image_folder"]]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("describe", overrides=words)
    record(config, describe.describe, "print_description")
    said = capsys.readouterr().out
    for words in ("data.size=32, or data.size=[32,48]", "3 x 12 x 10 uint8", "dog"):
        assert words in said
    assert re.search(r"size +12x10 +all are 12x10", said)
    assert said.splitlines()[-1] == "train it: python scripts/train.py model=cnn"  # and, of a command line, its words
    assert (tmp_path / "run" / "plots" / "samples.png").stat().st_size > 5000
