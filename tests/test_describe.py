"""Looking at data: counts and remarks hold for data made to have each fault."""

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
    from litlab import describe, remarks

    splits = data.raw_splits()
    columns = describe.columns(data, splits["train"])
    result = {
        "splits": describe.describe_splits(splits),
        "classes": describe.describe_classes(data, splits),
        "columns": [describe.describe_column(name, values) for name, values in columns.items()],
    }
    return result | {"remarks": remarks.remarks(data, result)}


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
        "not finite": 0,
    }
    assert (tail["max"], tail["mean"]) == (1000.0, 25.0)
    assert tail["skewness"] == pytest.approx(38 / 39**0.5, rel=1e-4)  # of one among 40
    assert (gaps["not finite"], plain["not finite"]) == (2, 0)


@pytest.mark.parametrize(
    "said",
    [
        "missing or infinite values in gaps",
        "always the same: constant",
        "data.normalize=true",
        "far from the others in tail (tail: mean 25, from 0 to 1000)",
        "1 of 40 training samples repeat",
        "3 of 3 test samples have inputs that are in the training split too",
        "only 40 training samples",
        "data.val_size=0.1",
        "(35 samples of no, 5 of yes): try task.class_weights=balanced",
    ],
)
def test_each_fault_has_its_sentence(said: str) -> None:
    assert any(said in remark for remark in described(table())["remarks"])


def test_what_is_set_already_is_not_proposed() -> None:
    remarks = described(table(normalize=True, val_size=0.1))["remarks"]
    assert not any("try data.normalize" in remark or "data.val_size" in remark for remark in remarks)


def test_minus_zero_is_zero() -> None:
    import torch

    from litlab.describe import row_hashes

    assert len(set(row_hashes(torch.tensor([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]])))) == 2


def test_training_refuses_data_with_gaps() -> None:
    from litlab.errors import RequestError

    with pytest.raises(RequestError, match="train inputs hold NaN or infinite values"):
        table().setup()


def test_the_command_prints_tables_and_leaves_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from hydra import compose, initialize_config_dir

    from litlab.choices import CONF
    from litlab.cli import record
    from litlab.describe import describe

    run_dir = tmp_path / "run"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("describe", overrides=["data=digits", f"paths.run_dir={run_dir}"])
    record(config, describe, "print_description")
    said = capsys.readouterr().out
    assert "Classification: from 1 x 8 x 8 values to one of 10 classes." in said
    assert "also in train" in said and "model=cnn" in said
    assert {file.name for file in (run_dir / "plots").iterdir()} == {"samples.png", "classes.png", "features.png"}
    result = json.loads((run_dir / "result.json").read_text())
    assert result["status"] == "completed"
    assert [row["samples"] for row in result["splits"]] == [1257, 180, 360]
    assert sum(row["train"] for row in result["classes"]) == 1257
