"""Validation of a config before torch is imported and data are loaded.

Settings are checked against the signature of their class (`_target_`). Where the types of torch and Lightning say too
little, RANGES does, by class and parameter. No rule depends on a setting's name alone.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from litlab.config.choices import CONF
from litlab.config.ranges import PROGRAM, RANGES, RESERVED
from litlab.config.signatures import REQUIRED, Signature, signature
from litlab.config.suggestions import suggestion
from litlab.config.values import (
    describe,
    fits,
)
from litlab.errors import RequestError

MISSING = object()

BUILT = ("data", "model", "task", "optimizer", "trainer")  # groups without which nothing can be built
ORDER = ("data", "model", "augmentation", "task", "optimizer", "scheduler", "trainer")
SCHEDULE = "litlab.tasks.schedule.Schedule"  # takes its part of the settings in `scheduler`
INTERPOLATION = re.compile(r"\$\{([\w.]+)\}")
TARGET = re.compile(r"[^\W\d]\w*(\.\w+)+|.*\$\{.*")
GPU_FILES = ("nvidia*", "nvhost*", "nvmap", "kfd", "dxg", "dri/renderD*")  # in /dev of Linux, of any GPU's driver
HYDRA_KEY = re.compile(r"_(target|partial|recursive|convert|args)_")

Errors = Iterator[tuple[str, str]]  # the setting, and the line about it


class Node(NamedTuple):
    """A part of the config that names a class."""

    path: str
    target: str
    settings: dict[str, Any]  # of the class; interpolations are not resolved
    partial: bool
    signature: Signature

    def hint(self, name: str) -> Any:
        """What a parameter may be: by RANGES, or else by its type."""
        parameter = self.signature.parameters[name]
        ranges = next((RANGES[owner] for owner in RANGES if f"{parameter.owner}.".startswith(f"{owner}.")), {})
        hint = ranges.get(name) or parameter.hint
        if self.path == "scheduler" and fits(1, hint) and not fits(0.5, hint):
            return hint | Literal["auto"]  # the length of the run
        return hint


def check(config: DictConfig, overrides: Sequence[str] = (), only: str = "", here: bool = True) -> None:
    """Check a composed config against the signatures of its classes.

    Args:
        config: composed.
        overrides: as typed on the command line.
        only: check nothing but the program's settings with this prefix.
        here: whether the run will be on this machine, and needs its devices.

    Raises:
        RequestError: all errors, a line each.
    """
    errors = dict(_program_errors(config, only))
    if not only:
        raw: Any = OmegaConf.to_container(config, resolve=False)
        for node in (node for group in sorted(raw, key=_rank) for node in _nodes(group, raw[group])):
            for setting, text in _node_errors(config, node, overrides):
                errors.setdefault(setting, text)
        errors |= {setting: text for setting, text in _group_errors(raw) if setting not in errors}
        accelerator = str(OmegaConf.select(config, "trainer.accelerator", throw_on_resolution_failure=False))
        if here and _is_surely_missing(accelerator):
            errors.setdefault("trainer.accelerator", missing(accelerator))
    if errors:
        raise RequestError("\n".join(errors.values()))


def missing(accelerator: str) -> str:
    """What to tell where there is no such device."""
    return f"trainer.accelerator={accelerator}: PyTorch finds none on this machine; use trainer=cpu"


def _is_surely_missing(accelerator: str) -> bool:
    """Whether this machine has no such device, as far as files tell: asking torch takes seconds."""
    if sys.platform != "linux" or accelerator not in ("gpu", "cuda", "mps"):
        return False
    return accelerator == "mps" or not any(file for name in GPU_FILES for file in Path("/dev").glob(name))


def _program_errors(config: DictConfig, prefix: str) -> Errors:
    for setting, hint in PROGRAM.items():
        value = OmegaConf.select(config, setting, default=MISSING)
        if setting.startswith(prefix) and value is not MISSING and not fits(value, hint):
            yield setting, f"{setting}={value}: must be {describe(hint, 0 if setting == 'seed' else None)}"


def _rank(group: str) -> int:
    return ORDER.index(group) if group in ORDER else len(ORDER)


def _nodes(path: str, settings: Any) -> Iterator[Node]:
    """A part of the config and all parts in it, where they name a class."""
    if path in ("hydra", "paths", "sweep", "reference") or not isinstance(settings, dict):
        return
    target = settings.get("_target_")
    if isinstance(target, str) and "${" not in target and "_args_" not in settings:
        own = {name: value for name, value in settings.items() if f"{path}.{name}" not in PROGRAM}
        own = {name: value for name, value in own.items() if not HYDRA_KEY.fullmatch(name)}
        takes = _scheduler_signature(target) if path == "scheduler" else signature(target)
        yield Node(path, target, own, bool(settings.get("_partial_")), takes)
    for name, each in settings.items():
        yield from _nodes(f"{path}.{name}", each)


def _scheduler_signature(target: str) -> Signature:
    """A scheduler's, and the settings by which `litlab.tasks.schedule` steps it."""
    takes = signature(target)
    own = {name: each for name, each in signature(SCHEDULE).parameters.items() if each.default is not REQUIRED}
    return Signature(takes.parameters | own, takes.others)


def _node_errors(config: DictConfig, node: Node, overrides: Sequence[str]) -> Errors:
    path, settings, (parameters, others) = node.path, node.settings, node.signature
    reserved, class_name = RESERVED.get(path, {}), node.target.rpartition(".")[2]
    unknown = [name for name in settings if not others and name not in parameters and name not in reserved]
    if unknown and any(word.lstrip("+").startswith(f"{path}._target_=") for word in overrides):
        yield f"{path}._target_", _other_class(path, node.target, unknown)
        return  # the remaining settings belong to the class of the YAML, too
    known = [name for name in parameters if name not in reserved]
    takes = f"; it takes {', '.join(known) or 'no settings'}"
    for name in unknown:
        meant = suggestion(name, known) or takes
        yield f"{path}.{name}", f"{path}.{name}: {class_name} does not take it{meant}"
    for name, value in settings.items():
        if name in reserved and (name in parameters or not others):
            yield f"{path}.{name}", f"{path}.{name}: cannot be set; {reserved[name]}"
        elif name in parameters:
            yield from _value_errors(config, f"{path}.{name}", value, node.hint(name), parameters[name].default)
    if path in RESERVED or not node.partial:  # who completes another partial is not known
        for name in known:
            if parameters[name].default is REQUIRED and name not in settings:
                needs = describe(node.hint(name))
                yield f"{path}.{name}", f"{path}.{name}: is required; {class_name} needs {needs}"
    if path == "model" and not others and (missing := sorted({"input_shape", "num_outputs"} - set(parameters))):
        must_take = f"must take {' and '.join(missing)}, which every model gets from the data"
        yield "model._target_", f"model._target_={node.target}: {must_take}"
    if node.target == "torch.optim.SGD" and settings.get("nesterov") is True and not settings.get("momentum"):
        momentum = f"{path}.momentum={settings.get('momentum')}"
        yield f"{path}.momentum", f"{momentum}: Nesterov's needs one above 0; set {path}.nesterov=false, too"


def _value_errors(config: DictConfig, setting: str, value: Any, hint: Any, default: Any) -> Errors:
    if hint is Any:
        return
    if isinstance(value, str) and "${" in value:
        source = INTERPOLATION.fullmatch(value)
        if not value.startswith("${") and fits(value, hint):  # text around an interpolation: the result is text
            return
        try:
            found = OmegaConf.select(config, setting)
        except OmegaConfBaseException as error:
            group = source[1].split(".")[0] if source else ""
            if group in config or group not in BUILT:  # a missing group is reported as such
                yield source[1] if source else setting, f"{setting}={value}: {str(error).splitlines()[0]}"
            return
        value = OmegaConf.to_container(found) if OmegaConf.is_config(found) else found
        setting = source[1] if source else setting  # where the value is set
    if not fits(value, hint) and (type(value) is not type(default) or value != default):  # True == 1
        example = [value] if not default and fits([value], hint) else default  # the brackets alone were missing
        yield setting, f"{setting}={value}: must be {describe(hint, example)}"


def _other_class(path: str, target: str, unknown: Sequence[str]) -> str:
    """The settings in a YAML are those of its class: another class needs a YAML of its own."""
    group = path.split(".")[0]
    fitting = [
        f"{group}={file.stem}"
        for file in _options(group)
        if re.search(rf"^_target_: *{re.escape(target)}\s", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    instead = f"choose {' or '.join(fitting)}, or " if fitting and group == path else ""
    return (
        f"{path}._target_={target}: does not take {', '.join(unknown)}, which the chosen {group} sets; "
        f"{instead}write conf/{group}/NAME.yaml for it, or leave out {' '.join(f'~{path}.{name}' for name in unknown)}"
    )


def _options(group: str) -> list[Path]:
    return sorted((CONF / group).glob("*.yaml"))


def _group_errors(raw: Mapping[str, Any]) -> Errors:
    """Groups that are missing, have no settings, or name no class."""
    trains = any(group in raw for group in ("trainer", "scheduler", "callbacks"))  # scripts/describe.py has none
    for group in (*BUILT, "scheduler", "tune", "callbacks", "logger", "augmentation"):
        choose = f"choose one of {', '.join(file.stem for file in _options(group))}"
        settings = raw.get(group, MISSING)
        if settings is MISSING:
            if trains:
                yield group, f"{group}: is missing; {choose}"
        elif not isinstance(settings, dict):
            yield group, f"{group}={settings}: is not a valid choice; {choose}"
        elif group in ("callbacks", "logger"):
            for name, each in settings.items():
                yield from _target_errors(f"{group}.{name}", each, f"~{group}.{name} leaves it out")
        elif settings or group in BUILT:
            yield from _target_errors(group, settings, choose)


def _target_errors(path: str, settings: Any, remedy: str) -> Errors:
    if not isinstance(settings, dict):
        yield path, f"{path}={settings}: must be settings with a class (_target_); {remedy}"
        return
    for name, each in settings.items():
        if isinstance(each, dict) and "_target_" in each:
            yield from _target_errors(f"{path}.{name}", each, f"see {path}")
    target, partial = settings.get("_target_"), settings.get("_partial_", False)
    if not isinstance(target, str) or not TARGET.fullmatch(target):
        yield f"{path}._target_", f"{path}._target_={target}: must be a class, such as package.module.Class; {remedy}"
    if not isinstance(partial, bool):
        yield f"{path}._partial_", f"{path}._partial_={partial}: must be true or false"
