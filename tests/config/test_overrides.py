"""Settings that a run can be given, as one types them."""

import sys
from types import SimpleNamespace

from omegaconf import OmegaConf

from litlab.config.overrides import available, tune_option
from litlab.data.tensors import TensorData


class Plain(TensorData):
    """Takes all that TensorData does."""


class Named(TensorData):
    def __init__(self, *, file, **settings):
        super().__init__(**settings)


class Closed(TensorData):
    def __init__(self, *, normalize=True):
        super().__init__(normalize=normalize)


def test_available_settings_have_a_plus_where_the_yaml_lacks_them_and_tuning_where_it_helps(monkeypatch):
    for name, settings, typed in [
        ("Plain", {"normalize": False, "val_size": 0}, ["data.normalize=true", "data.val_size=0.1"]),
        ("Plain", {"normalize": True, "val_size": 0.1}, []),
        ("Plain", {}, ["+data.normalize=true", "+data.val_size=0.1"]),
        ("Named", {"file": "a.csv"}, ["+data.normalize=true", "+data.val_size=0.1"]),
        ("Closed", {}, []),  # it is true already, and there is no val_size
    ]:
        monkeypatch.setitem(sys.modules, "a_user", SimpleNamespace(Plain=Plain, Named=Named, Closed=Closed))
        config = OmegaConf.create({"data": {"_target_": f"a_user.{name}"} | settings, "model": {}})
        assert available(config, "data.normalize=true", "data.val_size=0.1", "model.dropout=0.2") == typed
    for config, option in [
        ({"tune": {}}, "tune=lr"),
        ({"tune": {"_target_": "litlab.verbs.tune.find_batch_size"}}, "tune=lr"),
        ({"tune": {"_target_": "litlab.verbs.tune.find_lr"}}, ""),
        ({"trainer": {"devices": 2}}, ""),
    ]:
        assert tune_option(OmegaConf.create(config)) == option
