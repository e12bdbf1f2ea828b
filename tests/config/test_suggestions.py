"""What may have been meant: a plugin that is not installed names its extra, and only what is supported is offered."""

import importlib.util
import tomllib

import pytest

from litlab.config.arguments import arguments
from litlab.config.suggestions import EXTRAS, choice_meant, suggestion, unknown_choice
from litlab.errors import RequestError


def test_extras(root):
    assert unknown_choice("hydra/launcher/joblib", ["basic"]) == (
        "hydra/launcher=joblib: needs the extra joblib, which is not installed: "
        "make setup EXTRAS=joblib, or pip install -e .[joblib] -c constraints.txt"
    )
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    others = {"dev", "all", "optuna", "export", "excel", "mlflow", "wandb"}  # these bring no choice of Hydra's
    brought = set(project["optional-dependencies"]) - others
    assert set(EXTRAS.values()) == brought


def test_a_launcher_that_litlab_does_not_support_is_not_offered():
    asked = "hydra/launcher=ray_aw: there is no conf/hydra/launcher/ray_aw.yaml"
    told = f"{asked} (did you mean ray?); choose from basic, ray"
    assert unknown_choice("hydra/launcher/ray_aw", ["ray_aws", "ray", "basic"]) == told


def test_a_launcher_that_is_nothing_is_told_those_that_are_installed():
    told = (
        r"^hydra/launcher=null: selects nothing; choose from basic, .*ray_cluster, stacked.*, or leave hydra/launcher"
    )
    with pytest.raises(RequestError, match=told) as refused:
        arguments(["hydra/launcher=null"])
    offered = str(refused.value).partition("choose from ")[2].split(", ")[:-1]
    assert "ray_aws" not in offered
    for extra, names in (("joblib", {"joblib"}), ("submitit", {"submitit_local", "submitit_slurm"}), ("ray", {"ray"})):
        installed = importlib.util.find_spec(f"hydra_plugins.hydra_{extra}_launcher") is not None
        assert names & set(offered) == (names if installed else set())
    with pytest.raises(
        RequestError, match=r"^hydra/sweeper=null: selects nothing; choose from basic, grid, search, or"
    ):
        arguments(["hydra/sweeper=null"])


def test_the_closest_name_is_suggested_if_one_is_close():
    assert suggestion("pric", ["rooms", "price"]) == " (did you mean price?)"
    assert suggestion("periodic", ["mlp", "mlp_periodic"]) == " (did you mean mlp_periodic?)"
    assert suggestion("area", ["rooms", "price"]) == suggestion("area", []) == ""
    assert choice_meant("fashion") == " (did you mean data=fashion?)" and choice_meant("x") == ", such as data=fashion"
