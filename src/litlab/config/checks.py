"""What a request must satisfy: read from the config alone, before torch is imported and data are loaded.

The class that takes a setting (`_target_`) says what it may be, by the types of its signature. Where those of torch and
Lightning say too little, RANGES does, by class and parameter. No rule goes by a setting's name alone.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from litlab.config.choices import CONF
from litlab.config.signatures import REQUIRED, Parameter, Signature, signature
from litlab.config.values import (
    ExistingFile,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    Pattern,
    PositiveFloat,
    PositiveInt,
    Range,
    Seed,
    fits,
    spoken,
)
from litlab.errors import RequestError

Length = Annotated[int, Range(-1, such_as=10, note="-1 for no limit")]
Batches = PositiveInt | Annotated[float, Range(above=0, at_most=1, such_as=1.0)]  # of an epoch: a number, or a share
BatchesOrNone = NonNegativeInt | Annotated[float, Range(0, 1, such_as=1.0)]
Duration = Annotated[str, Pattern(r"\d+:\d\d:\d\d:\d\d", "a time DD:HH:MM:SS")] | dict[str, int]

# Settings that belong to the program, not to a class that is built.
PROGRAM: dict[str, Any] = {
    "seed": Seed,
    "threads": Annotated[int, Range(1, 1024, such_as=1)] | None,
    "evaluate_train": bool,
    "resume_from": Annotated[str, ExistingFile("a checkpoint that exists: RUN_DIRECTORY/checkpoints/last.ckpt")] | None,
    "tune.apply": bool,
    "sweep.on_failure": Literal["continue", "stop"],
    "sweep.dry_run": bool,
    "sweep.minutes": PositiveFloat | None,
    "sweep.jobs": PositiveInt | None,
    "sweep.draw": Literal["random", "halton"] | None,
    "sweep.draw_seed": Seed,
    "sweep.max_jobs": Annotated[int, Range(1, such_as=10000)],
}
# Where others' signatures say too little: module or class, parameter, what it may be.
RANGES: dict[str, dict[str, Any]] = {
    "torch.optim.lr_scheduler": {
        "max_lr": PositiveFloat | list[PositiveFloat],
        "total_steps": PositiveInt | None,
        "pct_start": Annotated[float, Range(0, 1)],
        "div_factor": PositiveFloat,
        "final_div_factor": PositiveFloat,
        "T_max": PositiveInt,
        "eta_min": NonNegativeFloat,
        "gamma": PositiveFloat,
        "step_size": Annotated[int, Range(1, such_as=10)],
        "factor": Annotated[float, Range(above=0, below=1)],
        "patience": NonNegativeInt,
        "cooldown": NonNegativeInt,
        "min_lr": NonNegativeFloat | list[NonNegativeFloat],
        "last_epoch": Literal[-1],  # going on is resume_from's business
    },
    "torch.optim": {
        "lr": Annotated[float, Range(above=0, such_as=0.01)],
        "momentum": Annotated[float, Range(0, below=1, such_as=0.9)],
        "betas": tuple[Fraction, Fraction],
        "weight_decay": Annotated[float, Range(0, such_as=0.0001)],
        "eps": NonNegativeFloat,
        "alpha": NonNegativeFloat,
    },
    "rtdl_num_embeddings.PeriodicEmbeddings": {
        "d_embedding": PositiveInt,
        "n_frequencies": PositiveInt,
        "frequency_init_scale": PositiveFloat,
    },
    "lightning.pytorch.trainer.trainer.Trainer": {
        "accelerator": Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"],
        "devices": PositiveInt
        | list[NonNegativeInt]
        | Literal["auto", -1]
        | Annotated[str, Pattern(r"\d+(,\d+)*,?", "numbers of devices 0,1")],
        "num_nodes": PositiveInt,
        "fast_dev_run": bool | PositiveInt,
        "max_epochs": Length | None,
        "min_epochs": NonNegativeInt | None,
        "max_steps": Annotated[int, Range(-1, such_as=1000, note="-1 for no limit")],
        "min_steps": NonNegativeInt | None,
        "max_time": Duration | None,
        "limit_train_batches": Batches | None,
        "limit_val_batches": BatchesOrNone | None,
        "limit_test_batches": BatchesOrNone | None,
        "overfit_batches": BatchesOrNone,
        "val_check_interval": Batches | Duration | None,
        "check_val_every_n_epoch": PositiveInt | None,
        "num_sanity_val_steps": Length | None,
        "log_every_n_steps": Annotated[int, Range(1, such_as=50)],
        "accumulate_grad_batches": PositiveInt,
        "gradient_clip_val": Annotated[float, Range(above=0, such_as=1.0)] | None,
        "gradient_clip_algorithm": Literal["norm", "value"] | None,
        "profiler": Literal["simple", "advanced", "pytorch", "xla"] | None,
        "reload_dataloaders_every_n_epochs": NonNegativeInt,
    },
    "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint": {
        "mode": Literal["min", "max"],
        "save_top_k": Annotated[int, Range(-1, note="-1 for all")],
        "every_n_train_steps": NonNegativeInt | None,
        "every_n_epochs": NonNegativeInt | None,
    },
    "lightning.pytorch.callbacks.early_stopping.EarlyStopping": {
        "mode": Literal["min", "max"],
        "patience": NonNegativeInt,
    },
}
# What litlab itself gives to the class of a group, and what to set instead.
DATA_GIVE = dict.fromkeys(("input_shape", "num_outputs", "num_tokens"), "the data give it")
MODULE_SETTINGS = ("accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm")
GIVEN: dict[str, dict[str, str]] = {
    "model": DATA_GIVE,
    "task": {"num_outputs": DATA_GIVE["num_outputs"]}
    | {name: f"choose {name}=NAME" for name in ("model", "optimizer", "augmentation")}
    | {"schedule": "choose scheduler=NAME"}
    | {name: f"set trainer.{name}" for name in MODULE_SETTINGS},
    "optimizer": {"params": "they are the model's"},
    "scheduler": {"optimizer": "choose optimizer=NAME"},
    "trainer": {
        "logger": "choose logger=none",
        "callbacks": "choose callbacks=NAME, or add one with +callbacks.NAME._target_=...",
        "plugins": "litlab has its own",
        "default_root_dir": "set paths.log_dir",
        "enable_checkpointing": "choose callbacks=none",
    },
    "tune": {"config": "it is the run's", "name": "it is the choice's"},
}
BUILT = ("data", "model", "task", "optimizer", "trainer")  # groups without which nothing can be built
ORDER = ("data", "model", "augmentation", "task", "optimizer", "scheduler", "trainer")
SCHEDULE = "litlab.tasks.schedule.Schedule"  # takes its part of the settings in `scheduler`
REFERENCE = re.compile(r"\$\{([\w.]+)\}")
HYDRAS = re.compile(r"_(target|partial|recursive|convert|args)_")


class Node(NamedTuple):
    """A part of the config that names what it is to become: its place, its settings, and their signature."""

    path: str
    settings: dict[str, Any]  # interpolations as they are written
    takes: Signature


def check(config: DictConfig, typed: Sequence[str] = (), only: str = "") -> None:
    """Hold a config against what its classes take.

    Args:
        config: composed.
        typed: the overrides, as they were typed.
        only: the program's settings that begin so, and nothing else.

    Raises:
        RequestError: all that is wrong, a line each.
    """
    mistakes = dict(_program_mistakes(config, only))
    if not only:
        plain: Any = OmegaConf.to_container(config, resolve=False)
        for node in _nodes(plain):
            for setting, text in _mistakes(config, node, typed):
                mistakes.setdefault(setting, text)
        mistakes |= {group: text for group, text in _unbuildable(plain) if group not in mistakes}
    if mistakes:
        raise RequestError("\n".join(mistakes.values()))


def _program_mistakes(config: DictConfig, only: str) -> Iterator[tuple[str, str]]:
    for setting, hint in PROGRAM.items():
        group, _, name = setting.rpartition(".")
        node = OmegaConf.select(config, group) if group else config
        if setting.startswith(only) and isinstance(node, DictConfig) and name in node:
            value = node[name]
            if not fits(value, hint):
                example = 0 if setting == "seed" else None
                yield setting, f"{setting}={value}: must be {spoken(hint, example)}"


def _nodes(plain: dict[str, Any]) -> Iterator[Node]:
    """All that name a class: data, model, ..., and each callback and logger, and what lies in them."""
    groups = sorted(plain, key=lambda group: ORDER.index(group) if group in ORDER else len(ORDER))
    pending = [(group, plain[group]) for group in groups if group not in ("hydra", "paths", "sweep", "reference")]
    while pending:
        path, settings = pending.pop(0)
        if not isinstance(settings, dict):
            continue
        target = settings.get("_target_")
        if isinstance(target, str) and "${" not in target and "_args_" not in settings:
            takes = signature(target)
            yield Node(path, settings, _with_rhythm(takes) if path == "scheduler" else takes)
        pending[:0] = [(f"{path}.{name}", each) for name, each in settings.items()]


def _with_rhythm(takes: Signature) -> Signature:
    """A scheduler's signature and the settings by which `litlab.tasks.schedule` steps it."""
    own = {name: each for name, each in signature(SCHEDULE).parameters.items() if each.default is not REQUIRED}
    return Signature(takes.parameters | own, takes.others)


def _hint(path: str, name: str, parameter: Parameter) -> Any:
    """What a parameter may be: by RANGES, or else by its type."""
    ranges = next((RANGES[place] for place in RANGES if f"{parameter.owner}.".startswith(f"{place}.")), {})
    hint = ranges.get(name) or parameter.hint
    if path == "scheduler" and fits(1, hint) and not fits(0.5, hint):
        return hint | Literal["auto"]  # the length of the run
    return hint


def _mistakes(config: DictConfig, node: Node, typed: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The wrong settings of a node, and what is wrong with each."""
    path, takes, given = node.path, node.takes, GIVEN.get(node.path, {})
    target, name_of_class = node.settings["_target_"], node.settings["_target_"].rpartition(".")[2]
    settings = {name: value for name, value in node.settings.items() if not HYDRAS.fullmatch(name)}
    if path == "tune":
        settings.pop("apply", None)  # the program's
    strange = [name for name in settings if name not in takes.parameters and name not in given]
    if strange and not takes.others:
        if any(word.lstrip("+").startswith(f"{path}._target_=") for word in typed):
            yield f"{path}._target_", _of_another(path, target, strange)
            return  # the rest is the other class's, too
        known = [name for name in takes.parameters if name not in given]
        for name in strange:
            yield f"{path}.{name}", f"{path}.{name}: {name_of_class} does not take it{_guess(name, known)}"
    for name, value in settings.items():
        if name in given and (name in takes.parameters or not takes.others):
            yield f"{path}.{name}", f"{path}.{name}: cannot be set; {given[name]}"
        elif name in takes.parameters:
            parameter = takes.parameters[name]
            yield from _wrong_value(config, f"{path}.{name}", value, _hint(path, name, parameter), parameter.default)
    if path in GIVEN or not node.settings.get("_partial_"):  # what completes others' partials is not known
        for name, parameter in takes.parameters.items():
            if parameter.default is REQUIRED and name not in settings and name not in given:
                needs = spoken(_hint(path, name, parameter))
                yield f"{path}.{name}", f"{path}.{name}: is missing; {name_of_class} needs {needs}"
    if path == "model" and not takes.others and (unfit := {"input_shape", "num_outputs"} - set(takes.parameters)):
        names = " and ".join(sorted(unfit))
        yield "model._target_", f"model._target_={target}: must take {names}, which the data give to every model"
    if target == "torch.optim.SGD" and settings.get("nesterov") is True and not settings.get("momentum"):
        momentum = f"{path}.momentum={settings.get('momentum')}"
        yield (
            f"{path}.momentum",
            f"{momentum}: Nesterov's needs one above 0; set {path}.nesterov=false, too",
        )


def _wrong_value(config: DictConfig, setting: str, value: Any, hint: Any, default: Any) -> Iterator[tuple[str, str]]:
    if hint is Any:
        return
    if isinstance(value, str) and "${" in value:
        source = REFERENCE.fullmatch(value)
        if not value.startswith("${") and fits(value, hint):  # a text with a reference in it stays a text
            return
        try:
            found = OmegaConf.select(config, setting)
        except OmegaConfBaseException as error:
            group = source[1].split(".")[0] if source else ""
            if group in BUILT and group not in config:  # that is told
                return
            yield source[1] if source else setting, f"{setting}={value}: {str(error).splitlines()[0]}"
            return
        value = OmegaConf.to_container(found) if OmegaConf.is_config(found) else found
        setting = source[1] if source else setting  # that is where it can be mended
    if not fits(value, hint) and (type(value) is not type(default) or value != default):  # True is 1
        yield setting, f"{setting}={value}: must be {spoken(hint, default)}"


def _of_another(path: str, target: str, strange: Sequence[str]) -> str:
    """The settings in a YAML are those of its class: another class needs a YAML of its own."""
    group = path.split(".")[0]
    fitting = [
        file.stem
        for file in sorted((CONF / group).glob("*.yaml"))
        if re.search(rf"^_target_: *{re.escape(target)}\s", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    instead = f"choose {' or '.join(f'{group}={name}' for name in fitting)}, or " if fitting and group == path else ""
    away = " ".join(f"~{path}.{name}" for name in strange)
    return (
        f"{path}._target_={target}: does not take {', '.join(strange)}, which the chosen {group} sets; "
        f"{instead}write conf/{group}/NAME.yaml for it, or leave out {away}"
    )


def _unbuildable(plain: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Choices that are no settings or name no class."""
    trains = "trainer" in plain or "model" in plain  # scripts/describe.py has only data
    for group in (*BUILT, "scheduler", "tune", "callbacks", "logger", "augmentation"):
        choose = f"choose one of {', '.join(file.stem for file in sorted((CONF / group).glob('*.yaml')))}"
        if group not in plain:
            if trains:
                yield group, f"{group}: is missing; {choose}"
            continue
        settings = plain[group]
        if not isinstance(settings, dict):
            yield group, f"{group}={settings}: is no choice; {choose}"
        elif group in ("callbacks", "logger"):
            for name, each in settings.items():
                yield from _no_class(f"{group}.{name}", each, f"~{group}.{name} leaves it out")
        elif settings or group in BUILT:
            yield from _no_class(group, settings, choose)


def _no_class(path: str, settings: Any, remedy: str) -> Iterator[tuple[str, str]]:
    if not isinstance(settings, dict):
        yield path, f"{path}={settings}: must be settings with a class (_target_); {remedy}"
        return
    for name, each in settings.items():
        if isinstance(each, dict) and "_target_" in each:
            yield from _no_class(f"{path}.{name}", each, f"see {path}")
    target, partial = settings.get("_target_"), settings.get("_partial_", False)
    if not isinstance(target, str) or not re.fullmatch(r"[^\W\d]\w*(\.\w+)+|.*\$\{.*", target):
        yield f"{path}._target_", f"{path}._target_={target}: must be a class, such as package.module.Class; {remedy}"
    if not isinstance(partial, bool):
        yield f"{path}._partial_", f"{path}._partial_={partial}: must be true or false"


def _guess(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else f"; it takes {', '.join(known) or 'no settings'}"
