"""What Hydra's errors mean to the user."""

import re
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

# Choices that a plugin brings, and the extra of pyproject.toml that brings the plugin.
EXTRAS = {
    "hydra/launcher/joblib": "joblib",
    "hydra/launcher/submitit_local": "submitit",
    "hydra/launcher/submitit_slurm": "submitit",
    "hydra/launcher/ray": "ray",
    "hydra/sweeper/optuna": "optuna",
}
SEVERAL = re.compile(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'(?: 1\. To use it| requires --multirun)")


def hydra_message(error: BaseException) -> str | None:
    """What a mistake on the command line or in a YAML means to the user; None if the error is something else."""
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

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
    """Where else in the config there is a setting of the wrong one's name, as a question; nothing if nowhere."""
    from omegaconf import DictConfig

    name = error.full_key.rpartition(".")[2]
    nodes = error.parent_node._get_root().items_ex(resolve=False)
    found = [f"{group}.{name}" for group, node in nodes if isinstance(node, DictConfig) and name in node]
    return f" (did you mean {' or '.join(found)}?)" if found else ""


def guess(name: str, known: Iterable[str]) -> str:
    """The known name that a wrong one looks like, as a question; nothing if there is none."""
    known = list(known)
    near = [each for each in known if each.startswith(name)] or get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def one_line(error: BaseException) -> str:
    """The message of an error."""
    return " ".join(str(error).split())
