"""A rule: when there is a problem, what it is, and what to try."""

from collections.abc import Iterable
from typing import NamedTuple


class Rule(NamedTuple):
    """A row in a table of known problems; empty remedies are left out."""

    applies: object
    message: str
    remedies: Iterable[str] = ()


def advice(rules: Iterable[Rule]) -> list[str]:
    """A sentence for each rule that applies: what is wrong, and what to try."""
    return [_sentence(rule.message, ", ".join(filter(None, rule.remedies))) for rule in rules if rule.applies]


def _sentence(message: str, remedies: str) -> str:
    return ": ".join(filter(None, (message, remedies and f"try {remedies}")))
