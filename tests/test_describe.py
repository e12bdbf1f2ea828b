"""Looking at data: counts hold for data made to have each fault. (What is said of it: tests/test_remarks.py.)"""

import json
from pathlib import Path
from typing import Any

import pytest


def table(**settings: Any) -> Any:
    """A table of 4 columns with one fault each, 40 rows; and its splits."""
    import torch

    from litlab.data.tensors import Split, TensorData

    class Table(TensorData):
        input_shape, num_outputs, class_names = (4,), 2, ("no", "yes")
        feature_names = ("plain", "constant", "tail", "gaps")

        def load(self) -> tuple[Split, Split]:
            random = torch.Generator().manual_seed(0)
            inputs = torch.randn(40, 4, generator=random)
            inputs[:, 1] = 3.0
            inputs[:, 2] = torch.tensor([0.0] * 39 + [1000.0])
            inputs[7, 3], inputs[8, 3] = float("nan"), float("inf")
            inputs[1] = inputs[0]
            labels = torch.tensor([0] * 35 + [1] * 5)
            return Split(inputs, labels), Split(inputs[:3].clone(), labels[:3])

    return Table(**settings)


def described(data: Any) -> dict[str, Any]:
    from litlab.describe import look

    return look(data, data.raw_splits())


def test_splits_have_sizes_types_duplicates_and_leaks() -> None:
    train, test = described(table())["splits"]
    assert train == {
        "split": "train",
        "samples": 40,
        "inputs": "4 float32",
        "targets": "1 int64",
        "duplicates": 1,
        "also in train": None,
    }
    assert (test["samples"], test["duplicates"], test["also in train"]) == (3, 1, 3)


def test_classes_are_counted() -> None:
    no, yes = described(table())["classes"]
    assert no == {"class": "no", "train": 35, "test": 3, "share of train": 35 / 40}
    assert (yes["train"], yes["test"]) == (5, 0)


def test_columns_have_range_spread_skewness_and_gaps() -> None:
    plain, constant, tail, gaps = described(table())["columns"]
    assert constant == {
        "name": "constant",
        "min": 3.0,
        "mean": 3.0,
        "max": 3.0,
        "std": 0.0,
        "skewness": 0.0,
        "values": "constant",
        "not finite": 0,
    }
    assert (tail["max"], tail["mean"]) == (1000.0, 25.0)
    assert tail["skewness"] == pytest.approx(38 / 39**0.5, rel=1e-4)  # of one among 40
    assert (gaps["not finite"], plain["not finite"]) == (2, 0)
    assert (plain["values"], tail["values"], gaps["values"]) == ("real", "two", "real")


def test_a_sequence_has_a_row_per_channel() -> None:
    import torch

    from litlab.data.tensors import Split, TensorData

    class Series(TensorData):
        input_shape, num_outputs, feature_names = (7, 2), 1, ("pulse", "breath")

        def load(self) -> tuple[Split, Split]:
            inputs = torch.arange(10 * 7 * 2.0).reshape(10, 7, 2)
            inputs[..., 1] = 3.0
            inputs[4, 6, 0] = float("nan")
            return Split(inputs, torch.arange(10)), Split(inputs[:2].clone(), torch.arange(2))

    pulse, breath, target = described(Series())["columns"]
    assert (pulse["name"], pulse["min"], pulse["max"], pulse["not finite"]) == ("pulse", 0, 138, 1)
    assert (breath["name"], breath["min"], breath["max"]) == ("breath", 3, 3) and target["name"] == "target: y"
    assert described(Series())["faults"] == [
        "the train inputs hold NaN or infinite values in 1 of 10 samples (pulse); fix them in load()"
    ]


def test_faults_and_relations_are_found() -> None:
    result = described(table())
    assert result["faults"] == [
        "the train inputs hold NaN or infinite values in 2 of 40 samples (gaps); fix them in load()"
    ]
    assert result["relations"] == {"contradictions": 0, "equal columns": [], "telling columns": []}


def test_rounding_is_zero_and_what_is_small_stays() -> None:
    import torch

    from litlab.data.columns import describe_column

    wave = torch.sin(torch.linspace(-torch.pi, torch.pi, 1000))
    row = describe_column("wave", wave)
    assert (row["mean"], row["skewness"]) == (0.0, 0.0)
    assert describe_column("small", 1e-9 + 1e-12 * wave)["mean"] == pytest.approx(1e-9)


def regression(inputs: int, outputs: int, name: str = "target") -> Any:
    """Data of so many columns and numbers to predict, 20 rows."""
    import torch

    from litlab.data.tensors import Split, TensorData

    class Numbers(TensorData):
        input_shape, num_outputs, target_name = (inputs,), outputs, name

        def load(self) -> tuple[Split, None]:
            return Split(torch.rand(20, inputs), torch.rand(20, outputs).squeeze(1)), None

    return Numbers()


@pytest.mark.parametrize(
    ("given", "asked", "targets"),
    [
        ((1, 1), "from 1 value to 1 number.", ["target: y"]),
        ((2, 1, "price ($)"), "from 2 values to 1 number, price ($).", ["target: price ($)"]),
        ((1, 2, "place"), "from 1 value to 2 numbers, place.", ["target: place 0", "target: place 1"]),
    ],
)
def test_what_is_predicted_has_its_words(given: tuple[Any, ...], asked: str, targets: list[str]) -> None:
    from litlab import describe

    data = regression(*given)
    assert describe.question(data) == f"Regression: {asked}"
    assert [name for name in describe.columns(data, data.load()[0]) if ":" in name] == targets


@pytest.mark.parametrize(
    ("given", "told", "last"),
    [
        ((39, 1), "Values of the training split", "target: y"),
        ((60, 1), "Values of the training split: 40 of 61 columns", "target: y"),
    ],
)
def test_columns_that_are_not_drawn_are_told(given: tuple[int, int], told: str, last: str) -> None:
    from litlab.describe import draw_features

    data = regression(*given)
    figure = draw_features(data, data.load()[0], 20)
    assert figure.get_suptitle() == told
    assert len(figure.axes) == 40 and figure.axes[-1].get_title() == last


def test_faulty_columns_are_drawn(tmp_path: Path) -> None:
    from litlab.describe import draw

    data = table()
    draw(data, data.raw_splits(), tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"classes.png", "features.png"}


def test_numbers_whose_powers_are_infinite_have_a_spread() -> None:
    import torch

    from litlab.data.columns import describe_column

    row = describe_column("huge", torch.tensor([-1e30, 0.0, 0.0, 3e30]))
    assert row["mean"] == pytest.approx(5e29) and row["std"] == pytest.approx(1.5e30)
    assert row["skewness"] == pytest.approx(8 / 9)


def test_what_load_gives_wrongly_is_told_as_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    from litlab.errors import RequestError

    data = table()
    monkeypatch.setattr(type(data), "input_shape", (3,))
    monkeypatch.setattr(type(data), "feature_names", None)
    with pytest.raises(RequestError) as error:
        described(data)
    assert str(error.value) == (
        "data=Table: load() returns train inputs of shape (40, 4); input_shape = (3,) needs (N, 3)"
    )


def test_training_refuses_data_with_gaps() -> None:
    from litlab.errors import RequestError

    with pytest.raises(RequestError, match="train inputs hold NaN or infinite values"):
        table().setup()


def test_the_command_prints_tables_and_leaves_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from hydra import compose, initialize_config_dir

    from litlab.cli import record
    from litlab.config.choices import CONF
    from litlab.describe import describe

    run_dir = tmp_path / "run"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("describe", overrides=["data=digits", f"paths.run_dir={run_dir}"])
    record(config, describe, "print_description")
    said = capsys.readouterr().out
    assert "Classification: from 1 x 8 x 8 values to one of 10 classes." in said
    assert "also in train" in said and "model=cnn" in said
    assert "columns (training split)" in said
    assert {file.name for file in (run_dir / "plots").iterdir()} == {"samples.png", "classes.png", "features.png"}
    result = json.loads((run_dir / "result.json").read_text())
    assert result["status"] == "completed"
    assert [row["samples"] for row in result["splits"]] == [1257, 180, 360]
    assert sum(row["train"] for row in result["classes"]) == 1257
