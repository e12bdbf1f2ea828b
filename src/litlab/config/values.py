"""Types of settings: constraints for the annotations of a signature, and whether a plain value satisfies one.

A class declares them where it declares its types:

    def __init__(self, input_shape, num_outputs, width: PositiveInt = 64, pooling: Literal["max", "avg"] = "max"):
"""

import math
import re
import types
from collections.abc import Collection, Iterable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

NoneType = type(None)
AUTO = "auto"  # of a scheduler: the length of the run
SEQUENCES = (list, tuple, Sequence, MutableSequence, Iterable, Collection)
NAMES: dict[Any, tuple[str, str]] = {  # of one, and of many
    float: ("a number", "numbers"),
    int: ("a whole number", "whole numbers"),
    str: ("a text", "texts"),
    Path: ("a path", "paths"),
    Any: ("a value", "values"),
    bool: ("true or false", "true or false"),
}


@dataclass(frozen=True)
class Range:
    """Bounds of a number, for `Annotated[int, Range(1)]`.

    Args:
        at_least: the smallest number.
        at_most: the largest number.
        above: all numbers are larger.
        below: all numbers are smaller.
        example: an example for the message; without one, the parameter's default.
        note: what a special number means: "-1 for no limit".
    """

    at_least: float = -math.inf
    at_most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    example: float | None = None
    note: str = ""

    def holds(self, value: float) -> bool:
        """Whether the number lies within."""
        return self.at_least <= value <= self.at_most and self.above < value < self.below

    def __str__(self) -> str:
        if self.note:
            return f", {self.note}"
        named = {"from": self.at_least, "above": self.above, "to": self.at_most, "to below": self.below}
        return "".join(f" {word} {bound:.10g}" for word, bound in named.items() if math.isfinite(bound))


@dataclass(frozen=True)
class Pattern:
    """A regular expression that a whole text must match, and its description."""

    expression: str
    words: str

    def holds(self, value: str) -> bool:
        """Whether the text matches."""
        return re.fullmatch(self.expression, value) is not None


@dataclass(frozen=True)
class SizeOrFraction:
    """A number of samples (int) or a fraction of them (float), for `Annotated[int | float, SizeOrFraction(0.1)]`."""

    example: float

    def holds(self, value: float) -> bool:
        """Whether it is one of the two."""
        return value >= 0 and (isinstance(value, int) or value < 1)

    @property
    def words(self) -> str:
        """Both in words."""
        return f"a fraction below 1, such as {self.example}, or a whole number of samples"


class Instance:
    """Placeholder in a hint for classes that no plain value is an instance of: Tensor, timedelta."""


PositiveInt = Annotated[int, Range(1)]
NonNegativeInt = Annotated[int, Range(0)]
PositiveFloat = Annotated[float, Range(above=0)]
NonNegativeFloat = Annotated[float, Range(0)]
Fraction = Annotated[float, Range(0, below=1, example=0.1)]
Seed = Annotated[int, Range(0, 2**32 - 1)]


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain YAML value (number, text, list, dict) is of a type; true where that cannot be decided.

    An int is a float, too; a bool is neither. Floats must be finite. A dict with `_target_` may become anything.
    """
    if isinstance(value, Mapping) and "_target_" in value:
        return True
    origin, arguments = get_origin(hint), get_args(hint)
    kind = origin or hint
    if origin is Annotated:
        return fits(value, arguments[0]) and all(each.holds(value) for each in arguments[1:])
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in arguments)
    if kind in SEQUENCES:
        if not isinstance(value, Sequence) or isinstance(value, str):
            return False
        if origin is tuple and Ellipsis not in arguments:
            return len(value) == len(arguments) and all(map(fits, value, arguments))
        return not arguments or all(fits(each, arguments[0]) for each in value)
    if kind in (dict, Mapping):
        return isinstance(value, Mapping)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (bool, str, NoneType):
        return isinstance(value, kind)
    return isinstance(value, str) if kind is Path else kind is not Instance


def describe(hint: Any, default: Any = None) -> str:
    """A type in words, to follow "must be", with an example; `default` is one where the type has no other."""
    parts = [each for each in _alternatives(hint) if each is not Instance]
    literals = tuple(value for each in parts if get_origin(each) is Literal for value in get_args(each))
    others = [each for each in parts if get_origin(each) is not Literal and each is not NoneType]
    others = [each for each in others if (get_origin(each) or each) is not dict] or others  # dicts are hard to type
    words = map(_words, [*others, *([Literal[literals]] if literals else [])])
    text = ", or ".join(dict.fromkeys(words)) or "an object (_target_: ...)"
    if literals and any(each is Instance for each in _alternatives(hint)):
        text += ", or a class, such as {_target_: torch.nn.NAME}"
    example = _example(parts, default)
    return text + ("" if example is None else f", such as {example}") + (", or null" if NoneType in parts else "")


def _alternatives(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        return [part for each in get_args(hint) for part in _alternatives(each)]
    return [hint]


def _words(hint: Any, plural: bool = False) -> str:
    """One alternative: "a whole number from 1"; plural: "whole numbers from 1"."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        own = [each.words for each in arguments[1:] if hasattr(each, "words")]
        return " ".join(own) or _words(arguments[0], plural) + "".join(map(str, arguments[1:]))
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(dict.fromkeys(map(str, arguments)))
    if (origin or hint) in SEQUENCES:
        if origin is tuple and Ellipsis not in arguments:
            each = " and ".join(dict.fromkeys(_either(each, plural=len(set(arguments)) == 1) for each in arguments))
            return f"a list of {len(arguments)} {each}"
        return f"a list of {_either(arguments[0], plural=True)}" if arguments else "a list"
    return NAMES.get(origin or hint, ("settings in braces",) * 2)[plural]


def _either(hint: Any, plural: bool) -> str:
    return " or ".join(_words(each, plural) for each in _alternatives(hint) if each is not Instance)


def _example(parts: Sequence[Any], default: Any) -> Any:
    """The first `example` of a type, or else the default where it is a number or a list."""
    marks = [mark for part in parts if get_origin(part) is Annotated for mark in get_args(part)[1:]]
    ranges = [mark for mark in marks if isinstance(mark, Range)]
    if given := [each.example for each in ranges if each.example is not None]:
        return given[0]
    if isinstance(default, list | tuple) and any(get_origin(part) in SEQUENCES for part in parts):
        return list(default) or None
    is_number = ranges or any(part in (int, float) for part in parts)
    return default if is_number and type(default) in (int, float) else None
