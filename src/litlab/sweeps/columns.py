"""The columns of a leaderboard: the settings that tell its rows apart."""

from collections.abc import Mapping, Sequence
from typing import Any

from litlab.runs.result import GROUPS, NOT_OF_THE_JOB
from litlab.sweeps.job_result import REPLICATES, JobResult, comparable
from litlab.sweeps.naming import key_of


def distinguishing_settings(results: Sequence[JobResult]) -> list[str]:
    """The settings that tell results apart: the swept ones first, then all others that differ between any two.

    A choice stands for its members: where model=mlp and model=cnn differ, so do many settings. A setting is left out
    that follows from the choices shown, or that always equals one shown (scheduler.max_lr is optimizer.lr), unless it
    was typed.

    Args:
        results: one for each row.
    """
    names = list(dict.fromkeys(key_of(key) for result in results for key in result.swept))
    names = [name for name in names if name not in REPLICATES]
    composed = [result for result in results if result.settings]  # of the others only what was typed is known
    values = [result.values() for result in composed]
    differing = set[str]().union(*(_differing(values[0], each) for each in values[1:]))
    groups = {name.rpartition(".")[0] for each in values for name in each} | set(GROUPS)
    typed = dict.fromkeys(key for result in results for key in result.typed)
    shown = {name: _tokens(composed, name) for name in names}
    for name in [*GROUPS, *typed, *sorted(differing)]:
        if name in names or name in REPLICATES or name.partition(".")[0] in NOT_OF_THE_JOB:
            continue
        if len(set(_tokens([each for each in results if each.settings or name in each.typed], name))) < 2:
            continue
        tokens = _tokens(composed, name)
        choices = [shown[each] for each in names if each in groups]
        if name in typed or not (tokens in shown.values() or _follows(tokens, choices)):
            names.append(name)
            shown[name] = tokens
    return names


def _tokens(results: Sequence[JobResult], name: str) -> list[str]:
    return [comparable([result.value(name)]) for result in results]


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    """The names under which two mappings have different values, or one has none."""
    both = one.keys() & other.keys()
    differing = {name for name in both if one[name] != other[name] or type(one[name]) is not type(other[name])}
    return differing | (one.keys() ^ other.keys())


def _follows(tokens: Sequence[str], choices: Sequence[Sequence[str]]) -> bool:
    """Whether results with the same choices have the same token."""
    if not choices:
        return False
    keys = list(zip(*choices, strict=True))
    found = dict(zip(keys, tokens, strict=True))
    return all(found[key] == token for key, token in zip(keys, tokens, strict=True))
