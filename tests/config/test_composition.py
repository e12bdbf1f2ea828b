"""What a file that somebody else wrote may decide: neither whom to trust nor what Hydra itself runs."""

import shutil
import sys

import pytest

from litlab import launch
from litlab.config import composition
from litlab.config.choices import CONF

pytestmark = pytest.mark.slow  # trains often: seconds, together

SMALL = ("data=digits", "model=mlp", "threads=1", "trainer.accelerator=cpu", "trainer.max_epochs=1", "logger=none")
HEAD = "# @package _global_\n"
NOT_ITS_TO_SET = {  # what an experiment sets: how that is named
    "trust: [os]": "sets trust; only you can, on the command line or in conf/local/default.yaml",
    "hydra: {callbacks: {x: {_target_: canary_package.Callback}}}": "sets hydra.callbacks.x._target_; of Hydra a ",
    "hydra: {job_logging: {handlers: {x: {(): canary_package.handler}}}}": "sets hydra.job_logging.handlers.x.(); of",
    "hydra: {hydra_logging: {handlers: {x: {class: canary_package.H}}}}": "sets hydra.hydra_logging.handlers.x.class;",
    "hydra: {launcher: {setup: [touch CANARY]}}": "sets hydra.launcher.setup; of Hydra a choice may set run, sweep, ",
    "hydra: {job: {env_set: {PYTHONPATH: CANARY}}}": "sets hydra.job.env_set.PYTHONPATH; of Hydra a choice may set ",
    "hydra: {output_subdir: CANARY}": "sets hydra.output_subdir; of Hydra a choice may set run, sweep, sweeper, ",
}
NOT_TRUSTED = {  # what Hydra itself would run, on the command line or in conf/local (see below): how that is named
    "+hydra.callbacks.x._target_=canary_package.Callback": "callbacks.x._target_=canary_package.Callback",
    "+hydra.sweeper.sampler._target_=canary_package.Sampler": "sweeper.sampler._target_=canary_package.Sampler",
    "+hydra.sweeper.custom_search_space=canary_package.make": "sweeper.custom_search_space=canary_package.make",
    "+hydra.launcher.x._target_=optuna.samplers.os.system": "launcher.x._target_=optuna.samplers.os.system",
    "hydra: {job_logging: {filters: {x: {(): canary_package.make}}}}": "job_logging.filters.x.()=canary_package.make",
    "hydra.job_logging.handlers.file.class=logging.os.system": "job_logging.handlers.file.class=logging.os.system",
    "+hydra.job_logging.handlers.file.stream='ext://canary_package.x'": "job_logging.handlers.file.stream=canary_pac",
    "+hydra.job_logging.handlers.file.queue=canary_package.make": "job_logging.handlers.file.queue=canary_package",
    "hydra: {job_logging: {filters: {x: '${hydra:job.env_set}'}}, job: {env_set: {(): canary_package.H}}}": (
        "job_logging.filters.x.()=canary_package.H"
    ),
}


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """The folder conf of a clone, into which others' files may be put."""
    conf = tmp_path / "clone" / "conf"
    shutil.copytree(CONF, conf)
    (conf / "local").mkdir(exist_ok=True)
    for module in (launch, composition):
        monkeypatch.setattr(module, "CONF", conf)
    return conf


@pytest.mark.parametrize("setting", NOT_ITS_TO_SET)
def test_an_experiment_does_not_set_what_is_the_users(command, canary, clone, setting):
    (clone / "experiment" / "theirs.yaml").write_text(HEAD + setting.replace("CANARY", str(canary)) + "\n")
    code, out, err = command("experiment=theirs", *SMALL)
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert err.startswith(f"error: experiment=theirs: {NOT_ITS_TO_SET[setting]}")
    assert not canary.exists() and "canary_package" not in sys.modules


@pytest.mark.parametrize("words", NOT_TRUSTED)
def test_what_hydra_would_run_itself_is_trusted_or_refused(command, canary, clone, words):
    if words.startswith("hydra: "):
        (clone / "local" / "default.yaml").write_text(f"{HEAD}{words}\n")
    code, out, err = command(*SMALL, *([] if words.startswith("hydra: ") else [words]))
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert err.startswith(f"error: hydra.{NOT_TRUSTED[words]}") and "if you trust it, add trust=[" in err
    assert not canary.exists() and "canary_package" not in sys.modules


def test_neither_another_group_nor_another_folder_may_trust(command, canary, clone, tmp_path):
    (clone / "model" / "theirs.yaml").write_text("# @package _global_\nmodel: {}\ntrust: [os]\n")
    (tmp_path / "download" / "local").mkdir(parents=True)  # only it: files that conf/ has, too, are refused before
    (tmp_path / "download" / "local" / "default.yaml").write_text("# @package _global_\ntrust: [os]\n")
    for words, told in {
        ("model=theirs",): "model=theirs: sets trust;",
        (f"--config-dir={tmp_path / 'download'}",): "local=default: sets trust;",
        (f"--config-path={tmp_path / 'download'}",): "--config-path: litlab composes what is in conf/",
        ("--config-name=model/theirs",): "model=theirs: sets trust;",
    }.items():
        code, _, err = command("threads=1", *words)
        assert code == 2 and err.startswith(f"error: {told}"), err


def test_the_user_trusts_on_the_command_line_and_in_conf_local(command, canary, clone, quick_train, tmp_path):
    (clone / "experiment" / "theirs.yaml").write_text(
        f"{HEAD}callbacks: {{x: {{_target_: canary_package.Callback}}}}\n"
    )
    code, _, err = command(*SMALL, "experiment=theirs")
    refused = "error: callbacks.x._target_=canary_package.Callback: is not a class of litlab, torch.nn, torch.optim, "
    assert code == 2 and err.startswith(refused) and err.endswith("add trust=[canary_package]\n")
    code, _, err = command(*SMALL, "experiment=theirs", "trust=[canary_package]")
    assert (code, err) == (0, "")
    (clone / "local" / "default.yaml").write_text(f"{HEAD}trust: [canary_package]\n")
    code, _, err = command(*SMALL, "experiment=theirs")
    assert (code, err) == (0, "")


def test_a_choice_sets_of_hydra_what_does_no_harm(command, clone, quick_train, tmp_path):
    settings = f"hydra: {{run: {{dir: '{tmp_path / 'here'}'}}, sweeper: {{params: {{seed: '0,1'}}}}}}\n"
    (clone / "experiment" / "theirs.yaml").write_text(HEAD + settings)
    code, _, err = command(*SMALL, "experiment=theirs")
    assert (code, err) == (0, "")
    assert (tmp_path / "here" / "result.json").is_file()
    code, out, err = command("-m", *SMALL, "experiment=theirs")
    assert (code, err) == (0, "") and "2 jobs in " in out


@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local", "submitit_slurm", "ray", "ray_cluster"])
def test_what_hydra_and_its_plugins_bring_is_not_refused(launcher):
    from hydra import compose, initialize_config_dir
    from hydra.errors import MissingConfigException

    from litlab.compat.hydra import composing_with

    with composing_with(composition.GuardedLoader), initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            words = [f"hydra/launcher={launcher}", "hydra/job_logging=default", "sweep=optuna", "paths.log_dir=logs"]
            assert compose("train", words, return_hydra_config=True).hydra.launcher is not None
        except MissingConfigException:
            pytest.skip("make setup EXTRAS=all")
