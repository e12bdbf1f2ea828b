"""data=table: which rows are which split, what is declared, and that a run does the same to new rows."""

import polars as pl
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from litlab.build import build_data, build_task
from litlab.compat.hydra import composing_with
from litlab.config.checks import check
from litlab.config.choices import CONF
from litlab.config.composition import GuardedLoader
from litlab.data.table import Table
from litlab.errors import RequestError
from litlab.models.category_embedding import CategoryEmbedding
from litlab.verbs.describe import describe

N = 120


@pytest.fixture
def houses(tmp_path):
    """120 houses: numbers, categories, dates, and what is left out; 4 have no price."""
    path = tmp_path / "houses.csv"
    pl.DataFrame(
        {
            "id": range(N),
            "area": [None if n % 20 == 7 else 40 + n * n % 101 / 2 for n in range(N)],
            "city": [["Paris", "Lyon", "Nice"][n * n // 3 % 3] for n in range(N)],
            "sold": [f"{2010 + n * 7 % 11}-0{1 + n % 9}-1{n % 10}" for n in range(N)],
            "owner": [f"o{n // 4}" for n in range(N)],
            "part": [["train", "valid", "TEST", "train"][n % 4] for n in range(N)],
            "kind": [["flat", "house"][n % 5 == 0] for n in range(N)],
            "price": [None if n % 30 == 29 else 100.5 + n * n % 101 * 3 for n in range(N)],
        }
    ).write_csv(path, null_value="NA")
    return path


def table(houses, **settings):
    data = Table(**{"file": str(houses), "target": "price", "val_size": 0.2, "test_size": 0.2} | settings)
    data.keep_frames = True
    data.setup()
    return data


def composed(*words):
    with composing_with(GuardedLoader), initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", list(words), return_hydra_config=True)


def test_the_file_declares_the_data(houses):
    data = table(houses)
    assert [len(split.inputs) for split in data.splits.values()] == [74, 19, 23]
    assert data.num_outputs == 1 and data.class_names is None and data.target_name == "price"
    kinds = {column.name: column.kind for column in data.fitted.columns}
    assert kinds == {
        "id": "drop", "area": "number", "city": "category", "sold": "date", "owner": "category", "part": "category",
        "kind": "category",
    }  # fmt: skip
    assert data.input_shape == (len(data.feature_names),) == (data.splits["train"].inputs.shape[1],)
    assert data.summary.startswith(
        "price as regression (51 different numbers); 1 number, 4 categories, 1 date; left out: id;"
    )
    assert "4 of 120 rows have no price that counts, and are left out" in data.summary


def test_scales_and_categories_are_those_of_the_training_rows(houses):
    data = table(houses)
    areas = data.frames["train"]["area"]
    (encoder,) = (each for each in data.fitted.encoders if each.column.name == "area")
    assert encoder.mean == (pytest.approx(areas.mean()),) and encoder.fill == areas.median()
    again = table(houses)
    assert all(torch.equal(again.splits[part].inputs, data.splits[part].inputs) for part in ("train", "val", "test"))
    other = table(houses, split_seed=1)
    assert not torch.equal(other.splits["test"].targets, data.splits["test"].targets)


def test_classes_are_in_every_split_in_their_proportions(houses):
    data = table(houses, target="kind")
    assert data.class_names == ("flat", "house") and data.num_outputs == 1
    assert [round(float(split.targets.float().mean()), 2) for split in data.splits.values()] == [0.19, 0.21, 0.21]
    assert table(houses, target="kind", task="litlab.tasks.classification.Classification").num_outputs == 2
    folds = [set(table(houses, folds=3, fold=fold).frames["val"]["id"]) for fold in range(3)]
    assert sum(map(len, folds)) == len(set.union(*folds)) == 93


def test_rows_are_divided_as_a_column_says(houses):
    by_part = table(houses, split_column="part").frames
    assert {part: set(frame["part"]) for part, frame in by_part.items()} == {
        "train": {"train"}, "val": {"valid"}, "test": {"TEST"},
    }  # fmt: skip
    by_owner = table(houses, group="owner", target="area").frames
    owners = [set(frame["owner"]) for frame in by_owner.values()]
    assert sum(map(len, owners)) == len(set.union(*owners)) and all(owners)
    with pytest.raises(RequestError) as error:
        table(houses, group="kind")
    told = "data.group=kind: has 2 groups, and train, val and test need one each; set data.val_size=0, or leave it out"
    assert str(error.value) == told
    few = table(houses, group="city", val_size=0.1).remarks[1:]
    assert few == ["data.group=city: has 3 groups, so val has 25 of 91 rows, not 9"]
    by_time = table(houses, time="sold").frames
    train, val, test = (by_time[part]["sold"] for part in ("train", "val", "test"))
    assert train.max() <= val.min() and val.max() <= test.min()
    assert "part" not in {column.name for column in table(houses, split_column="part").fitted.columns}
    with pytest.raises(RequestError, match=r"^data\.split_column=city: 120 rows say Lyon, Nice, Paris; it must be tr"):
        table(houses, split_column="city", target="id")
    with pytest.raises(RequestError, match=r"^data\.time=city: 116 rows have neither a date nor a number there$"):
        table(houses, time="city")


def test_a_target_alone_is_predicted_from_nothing(houses):
    pl.read_csv(houses).select("price").write_csv(houses)
    with pytest.raises(RequestError, match=r"^data\.target=price: no column is left to predict it from$"):
        table(houses)


def test_another_file_is_the_test_split(houses, tmp_path):
    other = tmp_path / "other.csv"
    pl.read_csv(houses, null_values="NA").head(9).with_columns(city=pl.lit("Rome")).write_csv(other)
    data = table(houses, test_file=str(other))
    assert [len(split.inputs) for split in data.splits.values()] == [93, 23, 9]
    names = [number for number, name in enumerate(data.feature_names) if name.startswith("city=")]
    assert len(names) == 3 and not data.splits["test"].inputs[:, names].any()  # a city never seen
    pl.DataFrame({"price": [1.0]}).write_csv(other)
    with pytest.raises(RequestError, match=r"other\.csv: lacks id, area, city, sold, owner, which data\.file has$"):
        table(houses, test_file=str(other))


@pytest.mark.slow
def test_the_task_is_chosen_while_hydra_composes(houses, tmp_path):
    words = ["data=table", f"data.file={houses}"]
    config = composed(*words, "data.target=price", "data.columns.area=category", "task.reduction=sum")
    assert config.task._target_.endswith("Regression") and config.task.reduction == "sum"
    assert config.hydra.runtime.choices["task"] == "regression"
    assert "task=regression" not in config.hydra.overrides.task
    assert config.data.columns == {"area": "category"} and config.optimizer.lr == 0.003
    config.paths.run_dir = "here"
    check(config)
    config = composed(*words, "data.target=price", "seed=3", "data.split_seed=${seed}")
    assert config.data.split_seed == 3  # in a sweep, of each job
    assert "data.split_seed=${seed}" in OmegaConf.to_container(config.hydra.overrides.task)
    assert composed(*words, "data.target=kind").task._target_.endswith("Binary")
    city = composed(*words, "data.target=city").task
    assert city._target_.endswith("Classification") and (city.monitor, city.mode) == ("val/loss", "min")
    assert composed(*words, "data.target=city", "task.monitor=val/f1").task.monitor == "val/f1"
    asked = composed(*words, "data.target=kind", "task=classification", "optimizer=sgd")
    assert build_data(asked).num_outputs == 2 and asked.optimizer.lr == 0.1
    with pytest.raises(RequestError, match=r"^data\.target=prize: there is no such column \(did you mean price\?\)"):
        composed(*words, "data.target=prize")
    with pytest.raises(RequestError, match=r"^data\.task_from=os\.system: must be a function of litlab\.data$"):
        composed(*words, "data.target=price", "data.task_from=os.system")
    with pytest.raises(RequestError, match=r"^data\.normalize=true: a table is scaled by data\.scaling"):
        build_data(composed(*words, "data.target=price", "+data.normalize=true"))


@pytest.mark.parametrize("model", ["mlp", "mlp_periodic", "linear", "tabm"])
def test_many_categories_are_embedded_before_any_model(tmp_path, model):
    path = tmp_path / "shops.csv"
    rows = {"shop": [f"s{n % 60}" for n in range(600)], "x": [n * n % 97 / 3 for n in range(600)]}
    pl.DataFrame(rows | {"y": [(n % 60) ** 2 / 9 + n % 7 for n in range(600)]}).write_csv(path)
    config = composed("data=table", f"data.file={path}", "data.target=y", f"model={model}")
    data = build_data(config)
    task = build_task(config, data)
    assert isinstance(task.model, CategoryEmbedding)
    data.setup()
    assert task.model.eval()(data.splits["train"].inputs).shape == (432, 1)
    assert task.members == (8 if model == "tabm" else None)


@pytest.mark.slow
def test_what_describe_shows(houses, tmp_path):
    config = composed("data=table", f"data.file={houses}", "data.target=price")
    config.paths.run_dir = str(tmp_path)
    found = describe(config)
    types = {row["column"]: (row["type"], row["or else"]) for row in found["types"]}
    assert types["price"] == ("target: regression", "task=...")
    assert types["id"] == ("left out", "data.columns.id=category")
    assert types["city"] == ("category", "data.columns.city=drop")
    assert types["area"] == ("number", "data.columns.area=category")
    assert found["notes"] == ["4 of 120 rows have no price that counts, and are left out"]
    assert found["relations"]["telling columns"] == []
    others = [name for name in pl.read_csv(houses).columns if name != "price"]
    assert len(found["head"]) == 5 and list(found["head"][0]) == [*others, "price"]
    assert {each.name for each in (tmp_path / "plots").iterdir()} == {"correlations.png", "features.png"}
    leak = pl.read_csv(houses, null_values="NA").with_columns(tax=pl.col("price") ** 2)
    leak.write_csv(houses)
    found = describe(config)
    assert found["relations"]["telling columns"] == ["tax"]
    assert any("tax gives the target away: leave it out (data.drop), unless" in each for each in found["remarks"])
