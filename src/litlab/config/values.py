"""What a setting may be: ranges for the annotations of a signature, and whether a plain value fits an annotation.

A class says so where it says its types:

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
SEQUENCES = (list, tuple, Sequence, MutableSequence, Iterable, Collection)


@dataclass(frozen=True)
class Range:
    """Bounds of a number, for `Annotated[int, Range(1)]`.

    Args:
        at_least: the smallest number.
        at_most: the largest number.
        above: all numbers are larger.
        below: all numbers are smaller.
        such_as: an example for the message; without one, the parameter's default.
        note: what a special number means: "-1 for no limit".
    """

    at_least: float = -math.inf
    at_most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    such_as: float | None = None
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
    """The form of a text, as a regular expression for the whole of it and in words."""

    expression: str
    words: str

    def holds(self, value: str) -> bool:
        """Whether the text has this form."""
        return re.fullmatch(self.expression, value) is not None


@dataclass(frozen=True)
class ExistingFile:
    """A text that is the path of a file; `words` describe that file."""

    words: str

    def holds(self, value: str) -> bool:
        """Whether the file is there."""
        return Path(value).is_file()


@dataclass(frozen=True)
class SizeOrShare:
    """A number of samples (int) or a share of them (float below 1), for `Annotated[int | float, SizeOrShare(0.1)]`."""

    such_as_share: float

    def holds(self, value: float) -> bool:
        """Whether it is one of the two."""
        return value >= 0 and (isinstance(value, int) or value < 1)

    @property
    def words(self) -> str:
        """Both in words."""
        return f"a share below 1, such as {self.such_as_share}, or a whole number of samples"


class Instance:
    """Stands in a hint for classes of which no plain value is one: Tensor, timedelta."""


PositiveInt = Annotated[int, Range(1)]
NonNegativeInt = Annotated[int, Range(0)]
PositiveFloat = Annotated[float, Range(above=0)]
NonNegativeFloat = Annotated[float, Range(0)]
Fraction = Annotated[float, Range(0, below=1, such_as=0.1)]
Seed = Annotated[int, Range(0, 2**32 - 1)]


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value (of YAML: numbers, texts, lists, dicts) is what a hint asks for; true where it is unclear.

    An int is a float as well, and a bool is neither. No float may be infinite or NaN. A dict with `_target_` may become
    anything.
    """
    if isinstance(value, Mapping) and "_target_" in value:
        return True
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return fits(value, arguments[0]) and all(each.holds(value) for each in arguments[1:])
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in arguments)
    if (origin or hint) in SEQUENCES:
        return isinstance(value, Sequence) and not isinstance(value, str) and _all_fit(value, origin, arguments)
    if (origin or hint) in (dict, Mapping):
        return isinstance(value, Mapping)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (bool, str, NoneType):
        return isinstance(value, hint)
    if hint is Path:
        return isinstance(value, str)
    return hint is not Instance


def _all_fit(values: Sequence[Any], origin: Any, hints: tuple[Any, ...]) -> bool:
    if origin is tuple and Ellipsis not in hints:
        return len(values) == len(hints) and all(map(fits, values, hints))
    return not hints or all(fits(each, hints[0]) for each in values)


def spoken(hint: Any, default: Any = None) -> str:
    """A hint in words for "must be ...", with an example; `default` is one where the hint has no other."""
    parts = [each for each in _alternatives(hint) if each is not Instance]
    words_of = [value for each in parts if get_origin(each) is Literal for value in get_args(each)]
    told = [each for each in parts if get_origin(each) is not Literal and each is not NoneType]
    told = [each for each in told if (get_origin(each) or each) is not dict] or told  # the others are simpler to type
    texts = [*map(_words, told), *([_words(Literal[tuple(words_of)])] if words_of else [])]
    words = ", or ".join(dict.fromkeys(texts)) or "an object (_target_: ...)"
    if (example := _example(parts, default)) is not None:
        words += f", such as {example}"
    return words + (", or null" if NoneType in parts else "")


def _alternatives(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        return [part for each in get_args(hint) for part in _alternatives(each)]
    return [hint]


def _words(hint: Any, many: bool = False) -> str:
    """One alternative, "a whole number from 1"; of many, "whole numbers from 1"."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        told = [each.words for each in arguments[1:] if hasattr(each, "words")]
        return " ".join(told) or _words(arguments[0], many) + "".join(map(str, arguments[1:]))
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(str, arguments))
    if (origin or hint) in SEQUENCES:
        if origin is tuple and Ellipsis not in arguments:
            each = " and ".join(dict.fromkeys(_one(each, many=len(set(arguments)) == 1) for each in arguments))
            return f"a list of {len(arguments)} {each}"
        return f"a list of {_one(arguments[0], many=True)}" if arguments else "a list"
    if hint is bool:
        return "true or false"
    names = {float: ("a number", "numbers"), int: ("a whole number", "whole numbers")}
    names |= {str: ("a text", "texts"), Path: ("a path", "paths"), Any: ("a value", "values")}
    return names.get(origin or hint, ("settings in braces",) * 2)[many]


def _one(hint: Any, many: bool = False) -> str:
    return " or ".join(_words(each, many) for each in _alternatives(hint) if each is not Instance)


def _example(parts: Sequence[Any], default: Any) -> Any:
    for part in parts:
        for mark in get_args(part)[1:] if get_origin(part) is Annotated else ():
            if getattr(mark, "such_as", None) is not None:
                return mark.such_as
        if get_origin(part) in SEQUENCES and default and isinstance(default, list | tuple):
            return list(default)
    numbers = any(part in (int, float) or _is_range(part) for part in parts)
    return default if numbers and isinstance(default, int | float) and not isinstance(default, bool) else None


def _is_range(hint: Any) -> bool:
    return get_origin(hint) is Annotated and isinstance(get_args(hint)[1], Range)
