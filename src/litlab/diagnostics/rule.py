"""A rule: when there is a problem, what it is, and what to try."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple


class Rule(NamedTuple):
    """A known problem of data or of a run; each part is called with what is known of these."""

    applies: Callable[[Any], object]
    message: Callable[[Any], str]
    remedies: Callable[[Any], Iterable[str]] = lambda _: ()


def diagnose(rules: Iterable[Rule], known: Any) -> Iterator[str]:
    """The advice of each rule that applies, as it is asked for."""
    return (advice(rule.message(known), *rule.remedies(known)) for rule in rules if rule.applies(known))


def advice(message: str, *remedies: str) -> str:
    """What is wrong and what to try, each if there is any; empty remedies are left out."""
    tried = ", ".join(filter(None, remedies))
    return ": ".join(filter(None, (message, tried and f"try {tried}")))
