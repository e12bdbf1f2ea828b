"""What Hydra's errors say to the user."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from litlab.config import hydra_errors as mistakes

SAMPLER = "hydra/sweeper/sampler"


@pytest.fixture
def raised(root):
    def compose_wrongly(override):
        with initialize_config_dir(str(root / "conf"), version_base="1.3"), pytest.raises(HydraException) as caught:
            compose("train", overrides=override.split(";"))
        return caught.value

    return compose_wrongly


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("modle=mlp", "modle: no such setting (did you mean model?); there are hydra, seed, "),
        ("optimizer.lrr=1", "optimizer.lrr: no such setting (did you mean lr?); there are lr, momentum, "),
        ("lr=0.1", "lr: no such setting (did you mean optimizer.lr?)"),
        ("trainer.batch_size=8", "trainer.batch_size: no such setting (did you mean data.batch_size?)"),
        ("epochs=3", "epochs: no such setting (did you mean trainer.max_epochs?)"),
        ("trainer.epochs=3", "trainer.epochs: no such setting (did you mean trainer.max_epochs?)"),
        ("learning_rate=3", "learning_rate: no such setting (did you mean optimizer.lr?)"),
        ("random_state=3", "random_state: no such setting (did you mean seed?)"),
        (
            "hydra/launcher=nowhere",
            "hydra/launcher=nowhere: there is no conf/hydra/launcher/nowhere.yaml; choose from ",
        ),
        ("model=mpl", "model=mpl: there is no conf/model/mpl.yaml (did you mean mlp?); choose from cnn, cnn1d, "),
        (f"{SAMPLER}=qmc", f"{SAMPLER}=qmc: only a search has it; add sweep=optuna, and -m"),
        ("hydra.sweeper.n_trials=3", "hydra.sweeper.n_trials: only a search has it; add sweep=optuna, and -m"),
        ("hydra.sweeper.sampler.seed=3", "hydra.sweeper.sampler: only a search has it; add sweep=optuna, and -m"),
        ("hydra.sweeper.max_batch=3", "hydra.sweeper.max_batch: no such setting (did you mean max_batch_size?)"),
        ("hydra.launcher.n_jobs=2", "hydra.launcher.n_jobs: the chosen launcher has no settings; choose another,"),
        ("data=image_folder;data.file=a", "data.file: no such setting (did you mean data.root?)"),
        ("data=arrays;data.root=a", "data.root: no such setting (did you mean data.file?)"),
        (
            "callbacks.early_stopping.patience=3",
            "callbacks.early_stopping: is not chosen; add callbacks=early_stopping",
        ),
        (
            "data.target=가격 [만원]",
            "data.target=가격 [만원]: cannot be parsed; put quotes around special characters, "
            "such as 'data.target=\"가격 [만원]\"'",
        ),
        ("fashion", "fashion: is not NAME=VALUE (did you mean data=fashion?)"),
        ("squeezenet", "squeezenet: is not NAME=VALUE, such as data=fashion"),
        ("resnet", "resnet: is not NAME=VALUE (did you mean model=resnet?)"),
        ("model=periodic", "model=periodic: there is no conf/model/periodic.yaml (did you mean mlp_periodic?); choose"),
        ("seed=0,1", "seed=0,1: several values make a sweep; add -m (a list has brackets, [1,2])"),
        ("+optimizer.lr=1", "+optimizer.lr: is there already; leave out the +"),
        ("seed=[", "seed=[: cannot be parsed; put quotes around special characters, such as 'data.file="),
        ("fo o=é", "fo o=é: cannot be parsed; put quotes around"),
        ("seed=choice('a', 'b')", "seed=choice('a', 'b'): several values make a sweep; add -m (a list"),
    ],
)
def test_what_may_have_been_meant(raised, asked, told):
    assert mistakes.hydra_message(raised(asked)).startswith(told)


def test_errors_of_other_libraries_name_the_setting():
    from omegaconf import OmegaConf

    config = OmegaConf.create({"trainer": {"max_epochs": 1}})
    OmegaConf.set_struct(config, True)
    with pytest.raises(AttributeError) as caught:
        config.trainer.max_steps  # noqa: B018
    assert mistakes.hydra_message(caught.value) == "trainer.max_steps: is required; remove ~trainer.max_steps"
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    error = MisconfigurationException("You requested to check 0.5 of the `val_dataloader`; see `limit_val_batches`.")
    assert mistakes.hydra_message(error).startswith("trainer.limit_val_batches: You requested to check 0.5 of")
    for settings, message, told in [
        ({"max_lr": 0.1}, "define total_steps OR (epochs", "scheduler.total_steps: define total_steps OR (epochs"),
        ({"epochs": 3}, "define total_steps OR (epochs", "scheduler.epochs=3: define total_steps OR (epochs"),
        ({}, "the optimizer is none", "scheduler: the optimizer is none"),  # it is no setting
    ]:
        target = {"_target_": "torch.optim.lr_scheduler.OneCycleLR"}
        assert mistakes.blame_setting("scheduler", target | settings, ValueError(message)) == told
    for error, message in [
        ("ConnectionError('no cluster')", None),
        (
            "PermissionError(13, 'Permission denied', '/logs')",
            "paths.log_dir: cannot write /logs (Permission denied); name a folder that can be written",
        ),
    ]:
        with pytest.raises(OSError) as caught:
            exec(compile(f"raise {error}", "somewhere/hydra/main.py", "exec"))
        assert mistakes.hydra_message(caught.value) == message
