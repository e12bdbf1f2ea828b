"""Settings to try: those there are, and what comes before a learning rate."""

import math
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from litlab.data.splits import Split
from litlab.data.tensors import TensorData
from litlab.diagnostics.advice import after_divergence, available, finder, judge_sizes, lower_rate, unhandy


class Plain(TensorData):
    """Takes all that TensorData does."""


class Named(TensorData):
    """Hands on what it is given."""

    def __init__(self, *, file: str, **settings: Any) -> None:
        super().__init__(**settings)


class Closed(TensorData):
    """Takes nothing but its own."""

    def __init__(self, *, normalize: bool = True) -> None:
        super().__init__(normalize=normalize)


def config(name: str = "Plain", **settings: Any) -> Any:
    sys.modules.setdefault("a_user", SimpleNamespace(Plain=Plain, Named=Named, Closed=Closed))  # type: ignore[arg-type]
    data = {"_target_": f"a_user.{name}"} | settings
    return OmegaConf.create({"data": data, "model": {}, "trainer": {"gradient_clip_val": None}})


def data(inputs: Any, targets: Any = (0.0, 1.0), *, names: Any = None, normalize: bool = False) -> Any:
    split = Split(torch.tensor(inputs), torch.tensor(targets))
    return SimpleNamespace(splits={"train": split}, class_names=names, normalize=normalize)


@pytest.mark.parametrize(
    ("rate", "lower"), [(0.5, 0.05), (0.87, 0.09), (1e-5, 1e-6), (30.0, 0.1), (9e29, 0.1), (math.nan, 0.1)]
)
def test_a_lower_rate_is_a_tenth_and_no_absurd_one(rate: float, lower: float) -> None:
    assert lower_rate(rate) == lower


@pytest.mark.parametrize(
    ("name", "settings", "typed"),
    [
        ("Plain", {"normalize": False, "val_size": 0}, ["data.normalize=true", "data.val_size=0.1"]),
        ("Plain", {"normalize": True, "val_size": 0.1}, []),
        ("Plain", {}, ["+data.normalize=true", "+data.val_size=0.1"]),
        ("Named", {"file": "a.csv"}, ["+data.normalize=true", "+data.val_size=0.1"]),
        ("Closed", {}, []),  # it is true already, and there is no val_size
    ],
)
def test_a_setting_that_the_data_take_and_the_yaml_lacks_has_a_plus(name: str, settings: Any, typed: list[str]) -> None:
    assert available(config(name, **settings), "data.normalize=true", "data.val_size=0.1", "model.dropout=0.2") == typed


def test_the_finder_is_named_where_it_can_help() -> None:
    assert finder(OmegaConf.create({"tune": {}})) == "tune=lr"
    assert finder(OmegaConf.create({"tune": {"_target_": "litlab.tune.find_batch_size"}})) == "tune=lr"
    for there in ({"tune": {"_target_": "litlab.tune.find_lr"}}, {"resume_from": "x"}, {"trainer": {"devices": 2}}):
        assert finder(OmegaConf.create(there)) == ""


def test_scales_are_unhandy_far_from_each_other_and_from_one() -> None:
    assert unhandy([], 10) == unhandy([1.0, 5.0], 10) == unhandy([9.0], 10) == unhandy([90.0], 100) == ""
    assert unhandy([0.5, 1425.0], 10) == "0.5 to 1.42e+03"
    assert unhandy([84.8, 83.0], 10) == "around 84.8"
    assert unhandy([0.01], 10) == "around 0.01"


def test_sizes_name_normalization_and_smaller_targets() -> None:
    large = [[1.5, 1000.0], [0.5, 2000.0]]
    said = "the inputs are of unlike or unhandy size (1 to 1.5e+03)"
    assert judge_sizes(config(normalize=False), data(large)) == (said, ("data.normalize=true",))
    assert judge_sizes(config(), data(large)) == (said, ("+data.normalize=true",))
    assert judge_sizes(config(), data([[1.0], [-1.0]])) == ("", ())
    assert judge_sizes(config(), data([[7.0], [7.0]])) == ("", ())  # all the same: nothing to normalize
    codes = [[1.0, 20.0, 1.1], [0.0, 0.0, -1.0], *[[0.0, 0.0, 1.0]] * 90]  # of a size that means nothing
    assert judge_sizes(config(normalize=False), data(codes)) == ("", ())
    channels = torch.stack((torch.linspace(-1, 1, 50), 1000 * torch.linspace(-1, 1, 50)), dim=1).reshape(10, 5, 2)
    assert judge_sizes(config(normalize=False), data(channels.tolist())).found.endswith("size (0.589 to 589)")
    tokens = SimpleNamespace(**vars(data(large)), num_tokens=2001)
    assert judge_sizes(config(normalize=False), tokens) == ("", ())
    assert judge_sizes(config("Closed"), data(large, normalize=True)) == ("", ())
    dear = (150000.0, 350000.0)
    assert judge_sizes(config(), data([[1.0], [-1.0]], dear)) == (
        "the targets are large (around 2.5e+05)",
        ("dividing the targets by 100,000 in load()",),
    )
    assert judge_sizes(config(), data(large, dear)).remedies == (
        "+data.normalize=true",
        "dividing the targets by 100,000 in load()",
    )
    assert judge_sizes(config(), data([[1.0], [-1.0]], (0, 999), names=("a", "b"))) == ("", ())  # labels
    assert judge_sizes(config(), SimpleNamespace()) == ("", ())  # others' data


@pytest.mark.parametrize(
    ("standardized", "targets", "remedies"),
    [
        (True, (150000.0, 350000.0), ()),  # it is done inside
        (False, (150000.0, 350000.0), ("task.standardize_targets=true",)),
        (True, (0.0, 3e19), ("dividing the targets by 10,000,000,000,000,000,000 in load()",)),  # no square in float32
    ],
)
def test_standardized_targets_may_be_large(standardized: bool, targets: Any, remedies: Any) -> None:
    given = OmegaConf.merge(config(), {"task": {"standardize_targets": standardized}})
    assert judge_sizes(given, data([[1.0], [-1.0]], targets)).remedies == remedies


def test_after_divergence_sizes_come_first_and_what_was_done_is_not_named() -> None:
    well = data([[1.0], [-1.0]])
    assert after_divergence(config(normalize=False), data([[1e3], [2e3]]), 0.5) == (
        "the inputs are of unlike or unhandy size (around 1.5e+03): try data.normalize=true"
    )
    assert after_divergence(config(), well, 0.5) == (
        "try optimizer.lr=0.05 (or tune=lr, which looks for one), trainer.gradient_clip_val=1, another loss, "
        "or look at the data"
    )
    tuned = config()
    OmegaConf.update(tuned, "tune._target_", "litlab.tune.find_lr", force_add=True)
    tuned.trainer.gradient_clip_val = 1
    assert after_divergence(tuned, well, 0.5) == "try optimizer.lr=0.05, another loss, or look at the data"


def test_a_diverged_run_tells_what_helps(compose: Any) -> None:
    from litlab.errors import RunError
    from litlab.train import train

    setting = ("data=exam_scores", "data.normalize=false", "model=linear", "optimizer=sgd", "optimizer.lr=0.1")
    with pytest.raises(
        RunError, match=r"the loss is (nan|inf) at step 8 .*\(around 84\.8\): try data\.normalize=true$"
    ):
        train(compose(*setting, pictures=False))
    result = train(compose(*setting, "data.normalize=true", pictures=False))
    assert result.metrics["test/r2"] > 0.999 and result.hints == []
