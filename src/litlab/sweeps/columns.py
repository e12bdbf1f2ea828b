"""What a job was set to, and which of its settings tell the rows of a leaderboard apart."""

import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from litlab.runs.result import GROUPS, NOT_OF_THE_JOB, StoredResult
from litlab.sweeps.naming import key_of

REPLICATES = ("seed", "data.fold")  # settings of which a row of the leaderboard has the mean


def own_overrides(result: StoredResult) -> list[str]:
    """What was typed, without what is the sweep's or Hydra's."""
    words = result.get("overrides") or []
    return [word for word in words if key_of(word).split(".")[0].split("/")[0] not in ("sweep", "hydra")]


def typed(result: StoredResult) -> dict[str, str]:
    """The text of each override by its setting."""
    return {key_of(override): override.partition("=")[2] for override in own_overrides(result)}


def value(result: StoredResult, key: str) -> Any:
    """What a job's setting (`optimizer.lr`) or choice (`model`) was, typed or not; None if it has none.

    A result without settings, of an earlier version or of a job that could not be composed, knows what was typed alone.
    """
    choice = (result.get("choices") or {}).get(key)
    if choice is not None:
        return choice
    found: Any = result.get("settings") or {}
    for name in key.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if found is None or isinstance(found, dict):  # of a group that `choices` does not list there is its name alone
        return parse(typed(result).get(key))
    return found


@functools.cache
def parse(text: str | None) -> Any:
    """A typed value as Hydra reads it; what it cannot read is text."""
    if text is None:
        return None
    try:
        found = OverridesParser.create().parse_override(f"key={text}").value()
    except HydraException:
        return text
    return found if found is None or isinstance(found, int | float | str | list | dict) else text


def as_typed(value: Any) -> str:
    """A value as one would type it, in full precision; nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, separators=(",", ":"), default=str)


def flat(result: StoredResult) -> dict[str, Any]:
    """Choices and settings by name; of what was typed where there are no settings."""
    leaves: dict[str, Any] = {}

    def walk(branch: dict[str, Any], above: str) -> None:
        for name, leaf in branch.items():
            if isinstance(leaf, dict) and leaf:
                walk(leaf, f"{above}{name}.")
            else:
                leaves[f"{above}{name}"] = leaf

    settings = result.get("settings")
    walk(settings or {key: parse(text) for key, text in typed(result).items()}, "")
    return (result.get("choices") or {}) | leaves


def identity(result: StoredResult, replicates: bool = True) -> str:
    """Equal for jobs of the same settings; without `replicates`, whatever their seed and fold are."""
    plain = result.get("settings") or {"choices": result.get("choices"), "typed": typed(result)}
    if not replicates:
        plain = {key: _without(part, key) for key, part in plain.items() if key not in REPLICATES}
    return json.dumps(plain, sort_keys=True)


def _without(part: Any, key: str) -> Any:
    """A group's settings but the replicates among them; `typed` has them by their whole names."""
    if not isinstance(part, dict):
        return part
    return {name: leaf for name, leaf in part.items() if not {name, f"{key}.{name}"} & set(REPLICATES)}


def columns(results: Sequence[StoredResult]) -> list[str]:
    """The settings that tell results apart: the swept ones first, then whatever else differs between any two of them.

    A choice stands for its members: where model=mlp and model=cnn differ, so do many settings. A setting is left out
    that follows from the choices shown, or that is always the same as one shown (scheduler.max_lr is optimizer.lr),
    unless it was typed.

    Args:
        results: one for each setting that is to be a row of its own.
    """
    names = list(dict.fromkeys(key_of(key) for result in results for key in result.get("swept") or ()))
    names = [name for name in names if name not in REPLICATES]
    composed = [result for result in results if result.get("settings")]  # the others know what was typed alone
    leaves = [flat(result) for result in composed]
    differing = set[str]().union(*(_unlike(leaves[0], each) for each in leaves[1:]))
    groups = {name.rpartition(".")[0] for each in leaves for name in each} | set(GROUPS)
    words = dict.fromkeys(key for result in results for key in typed(result))
    shown = {name: _tokens(composed, name) for name in names}
    for name in [*GROUPS, *words, *sorted(differing)]:
        if name in names or name in REPLICATES or name.partition(".")[0] in NOT_OF_THE_JOB:
            continue
        telling = [each for each in results if each.get("settings") or name in typed(each)]
        if len(set(_tokens(telling, name))) < 2:
            continue
        tokens = _tokens(composed, name)
        choices = [shown[each] for each in names if each in groups]
        if name in words or not (tokens in shown.values() or _follows(tokens, choices)):
            names.append(name)
            shown[name] = tokens
    return names


def comparable(values: Iterable[Any]) -> str:
    """What values are compared by; 1 is not 1.0, for limit_train_batches=1 is not 1.0."""
    return json.dumps(list(values), sort_keys=True, default=str)


def _tokens(results: Sequence[StoredResult], name: str) -> list[str]:
    return [comparable([value(result, name)]) for result in results]


def _unlike(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """The names under which two mappings have different values, or one has none."""
    both = one.keys() & other.keys()
    unlike = {name for name in both if one[name] != other[name] or type(one[name]) is not type(other[name])}
    return unlike | (one.keys() ^ other.keys())


def _follows(tokens: Sequence[str], choices: Sequence[Sequence[str]]) -> bool:
    """Whether results that are equal in the choices are so in `tokens`."""
    if not choices:
        return False
    keys = list(zip(*choices, strict=True))
    found = dict(zip(keys, tokens, strict=True))
    return all(found[key] == token for key, token in zip(keys, tokens, strict=True))


def order(values: Iterable[Any]) -> list[tuple[int, float, str]]:
    """A sort key for values of any kind: nothing, then numbers by size, then text."""
    return [
        (0, 0.0, "")
        if each is None
        else (1, float(each), "")
        if isinstance(each, int | float) and not isinstance(each, bool)
        else (2, 0.0, str(each))
        for each in values
    ]
