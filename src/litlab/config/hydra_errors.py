"""What errors mean to the user: those of Hydra, and those of a user's own data and models."""

import re
import sysconfig
import traceback
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from litlab.config.signatures import signature
from litlab.escape import one_line

# Choices that a plugin brings, and the extra of pyproject.toml that brings the plugin.
EXTRAS = {
    "hydra/launcher/joblib": "joblib",
    "hydra/launcher/submitit_local": "submitit",
    "hydra/launcher/submitit_slurm": "submitit",
    "hydra/launcher/ray": "ray",
}
# What other programs call a setting.
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
SEVERAL = re.compile(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'(?: 1\. To use it| requires --multirun)")


LITLAB = Path(__file__).parents[1]
OF_USERS = ("data", "models")  # folders of litlab's in which users put files of their own
PACKAGES = {"site-packages", "dist-packages"}
SETTINGS = re.compile(r"unexpected keyword argument|missing \d+ required")


def own_frame(error: BaseException) -> traceback.FrameSummary | None:
    """Where an error arose in what litlab has called: the innermost frame that is of no installed package.

    None where the error is litlab's own, or no such file took part.
    """
    found = None
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(LITLAB) and path.relative_to(LITLAB).parts[0] not in OF_USERS:
            found = None
        elif not _is_installed(path):
            found = frame
    return found


def _is_installed(path: Path) -> bool:
    library = Path(sysconfig.get_path("stdlib"))
    return str(path).startswith("<") or bool(PACKAGES & set(path.parts)) or path.is_relative_to(library)


def place(error: BaseException) -> str:
    """The file and line that an error is to be looked for at: the user's own, or else the innermost."""
    frame = own_frame(error) or traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def what(error: BaseException) -> str:
    """The type of an error and what it says, in one line; and what is to be done, where that is known."""
    said = ": ".join(filter(None, (type(error).__name__, one_line(error))))
    if "while checking arguments for embedding" in said and "Float" in said:
        said += "; inputs are float32, unless their class sets num_tokens (they stay int64 then)"
    return said


def why_not_built(error: BaseException) -> str:
    """Why what a config names could not be built.

    What concerns a setting is told as it is: an unknown one, and a ValueError that a class raises itself. Of anything
    else that a user's own class has raised, its type and place too.
    """
    frame, said = own_frame(error), one_line(error)
    raised_there = frame is not None and frame == traceback.extract_tb(error.__traceback__)[-1]
    of_a_setting = (isinstance(error, ValueError) and raised_there) or SETTINGS.search(said)
    if frame is None or (said and of_a_setting):
        return said or type(error).__name__
    return f"{what(error)} ({place(error)})"


def hydra_message(error: BaseException) -> str | None:
    """What a mistake on the command line or in a YAML means to the user; None if the error is something else."""
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        if extra := EXTRAS.get(f"{group}/{name}"):
            install = f"make setup EXTRAS={extra}, or pip install -e .[{extra}] -c constraints.txt"
            return f"{group}={name}: needs the extra {extra}, which is not installed: {install}"
        options = sorted(error.options)
        what = f"there is no conf/{group}/{name}.yaml{guess(name, options)}"
        return f"{group}={name}: {what}; choose from {', '.join(options)}"
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException) and cause.parent_node is not None and cause.full_key:
        known = [str(key) for key in cause.parent_node if not str(key).startswith("_")]
        if elsewhere := _elsewhere(cause):
            return f"{cause.full_key}: there is no such setting{elsewhere}"
        what = f"there is no such setting{guess(cause.full_key.rpartition('.')[2], known)}"
        return f"{cause.full_key}: {what}; there are {', '.join(known)} (+{cause.full_key}=... adds one)"
    if isinstance(error, HydraException) and (several := SEVERAL.match(one_line(error))):
        return f"{several[1]}: several values make a sweep; add -m (a list has brackets, [1,2])"
    if isinstance(error, ConfigAttributeError | ConfigKeyError) and error.full_key and cause is None:
        return f"{error.full_key}: is missing, and the program needs it; leave out ~{error.full_key}"
    if type(error).__name__ == "MisconfigurationException":  # Lightning's, by its name: importing it takes seconds
        return blamed("trainer", signature("lightning.pytorch.Trainer").parameters, one_line(error))
    if isinstance(error, HydraException | OmegaConfBaseException):
        override = getattr(error, "override", None)  # what could not be parsed
        return (f"{override}: " if override else "") + one_line(error).split(" See https")[0]
    frames = traceback.extract_tb(error.__traceback__)
    if (
        isinstance(error, OSError)
        and error.filename
        and any(Path(frame.filename).parts[-2:] == ("hydra", "main.py") for frame in frames)
    ):
        return f"paths.log_dir: cannot write {error.filename} ({error.strerror}); name a folder that can be written"
    return None


def _elsewhere(error: Any) -> str:
    """Where else in the config there is a setting of that name or meaning, as a question; nothing if nowhere."""
    from omegaconf import DictConfig, OmegaConf

    from litlab.compat.omegaconf import root

    name, config = error.full_key.rpartition(".")[2], root(error.parent_node)
    if name in ALIASES and OmegaConf.select(config, ALIASES[name].rpartition(".")[0] or ALIASES[name]) is not None:
        return f" (did you mean {ALIASES[name]}?)"
    nodes = config.items_ex(resolve=False)
    found = [f"{group!s}.{name}" for group, node in nodes if isinstance(node, DictConfig) and name in node]
    return f" (did you mean {' or '.join(found)}?)" if found else ""


def guess(name: str, known: Iterable[str]) -> str:
    """The known name that a wrong one looks like, as a question; nothing if there is none."""
    known = list(known)
    near = [each for each in known if each.startswith(name)] or get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def blamed(group: str, settings: Mapping[str, Any], message: str) -> str:
    """What a class of others says of the settings it was given, after the one that it speaks of.

    Args:
        group: where the settings lie.
        settings: what was given, or what can be given where that is not known.
        message: of what the class raised.
    """
    if message.startswith(f"{group}."):
        return message
    if message.startswith("Error l"):  # Hydra's "loading" and "locating"
        return f"{group}._target_={settings.get('_target_')}: {message}"
    words = re.findall(r"\w+", message.lower())
    spoken_of = [name for name in sorted(settings, key=len, reverse=True) if str(name).lower() in words]
    if not spoken_of:
        return f"{group}: {message}"
    value = settings[spoken_of[0]]
    told = f"={value}" if isinstance(value, str | int | float | list | tuple | None) else ""
    return f"{group}.{spoken_of[0]}{told}: {message}"
