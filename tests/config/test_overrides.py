"""Settings that a run can be given, as one types them."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from litlab.config.overrides import available, tune_option
from litlab.data.tensors import TensorData


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
def test_a_setting_that_the_data_take_and_the_yaml_lacks_has_a_plus(
    monkeypatch: pytest.MonkeyPatch, name: str, settings: Any, typed: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "a_user", SimpleNamespace(Plain=Plain, Named=Named, Closed=Closed))
    config = OmegaConf.create({"data": {"_target_": f"a_user.{name}"} | settings, "model": {}})
    assert available(config, "data.normalize=true", "data.val_size=0.1", "model.dropout=0.2") == typed


@pytest.mark.parametrize(
    ("config", "option"),
    [
        ({"tune": {}}, "tune=lr"),
        ({"tune": {"_target_": "litlab.tune.find_batch_size"}}, "tune=lr"),
        ({"tune": {"_target_": "litlab.tune.find_lr"}}, ""),
        ({"resume_from": "x"}, ""),
        ({"trainer": {"devices": 2}}, ""),
    ],
)
def test_tuning_is_an_option_where_it_can_help(config: dict[str, Any], option: str) -> None:
    assert tune_option(OmegaConf.create(config)) == option
