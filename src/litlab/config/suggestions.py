"""What a user may have meant by a word that is not there: a choice, a setting, another program's name for it."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from litlab.config.choices import CONF, UNSUPPORTED, choices

# Choices that a plugin brings, and the extra of pyproject.toml that brings the plugin.
EXTRAS = {
    "hydra/launcher/joblib": "joblib",
    "hydra/launcher/submitit_local": "submitit",
    "hydra/launcher/submitit_slurm": "submitit",
    "hydra/launcher/ray": "ray",
}
PATHS = {"data.file": "root", "data.root": "file"}  # where the user's data lie: a file, or a folder of images
# Other programs' names for a setting.
ALIASES = {
    **dict.fromkeys(("epochs", "num_epochs", "n_epochs", "num_train_epochs", "nb_epoch"), "trainer.max_epochs"),
    **dict.fromkeys(("learning_rate", "base_lr", "init_lr"), "optimizer.lr"),
    **dict.fromkeys(("bs", "train_batch_size", "per_device_train_batch_size"), "data.batch_size"),
    "per_device_eval_batch_size": "data.eval_batch_size",
    "validation_split": "data.val_size",
    "wd": "optimizer.weight_decay",
    "gradient_accumulation_steps": "trainer.accumulate_grad_batches",
    **dict.fromkeys(("max_grad_norm", "grad_clip", "clipnorm"), "trainer.gradient_clip_val"),
    **dict.fromkeys(("device", "gpus"), "trainer.accelerator"),
    **dict.fromkeys(("fp16", "bf16", "amp"), "trainer.precision"),
    **dict.fromkeys(("hidden_size", "hidden_dim", "units"), "model.hidden_sizes"),
    "random_state": "seed",
}
SEARCH = CONF / "hydra" / "sweeper" / "search.yaml"
OF_A_SEARCH = "only a search has it; add sweep=optuna, and -m"


def choice_meant(word: str) -> str:
    """Which choices a word without a name may have meant, as a question; or an example."""
    found = [f"{group}={word}" for group, names in choices().items() if word in names]
    return f" (did you mean {' or '.join(found)}?)" if found else ", such as data=fashion"


def unknown_choice(file: str, options: Iterable[str]) -> str:
    """The message for a choice that is not there.

    Args:
        file: its YAML in conf/, without .yaml: model/mpl.
        options: of its group.
    """
    group, _, name = file.rpartition("/")
    if extra := EXTRAS.get(file):
        install = f"make setup EXTRAS={extra}, or pip install -e .[{extra}] -c constraints.txt"
        return f"{group}={name}: needs the extra {extra}, which is not installed: {install}"
    options = [each for each in sorted(options) if f"{group}/{each}" not in UNSUPPORTED]
    there_is_none = f"there is no conf/{file}.yaml{suggestion(name, options)}"
    return f"{group}={name}: {there_is_none}; choose from {', '.join(options)}"


def unknown_setting(key: str, config: Any, there: Iterable[Any]) -> str:
    """The message for a setting that is not there.

    Args:
        key: dotted.
        config: a DictConfig, the whole one.
        there: the names beside it.
    """
    from omegaconf import DictConfig, OmegaConf

    name = key.rpartition(".")[2]
    if key.startswith("hydra.sweeper.") and key.split(".")[2] in ("sampler", *OmegaConf.load(SEARCH)):
        return f"{key}: {OF_A_SEARCH}"
    alias = ALIASES.get(name, "")
    if alias and OmegaConf.select(config, alias.rpartition(".")[0] or alias) is not None:
        elsewhere = [alias]
    else:
        nodes = config.items_ex(resolve=False)
        elsewhere = [f"{group!s}.{name}" for group, node in nodes if isinstance(node, DictConfig) and name in node]
    if elsewhere:
        return f"{key}: no such setting (did you mean {' or '.join(elsewhere)}?)"
    known = [str(each) for each in there if not str(each).startswith("_")]
    if (path := PATHS.get(key)) in known:
        return f"{key}: no such setting (did you mean data.{path}?)"
    if key in (f"callbacks.{each}" for each in choices().get("callbacks", {})):
        return f"{key}: is not chosen; add callbacks={name}"
    if not known and key.startswith("hydra.launcher."):
        return f"{key}: the chosen launcher has no settings; choose another, such as hydra/launcher=joblib"
    listed = f"there are {', '.join(known)} (+{key}=... adds one)"
    return f"{key}: no such setting{suggestion(name, known)}; {listed}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """The known name that is closest to a wrong one, as a question; empty if none is close."""
    known = list(known)
    near = [each for each in known if each.startswith(name)] or get_close_matches(name, known, n=1)
    near = near or [each for each in known if len(name) > 3 and name in each]
    return f" (did you mean {near[0]}?)" if near else ""
