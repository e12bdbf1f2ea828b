"""Reads and validates a result.json: it may come from anyone, so all checks are here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from litlab.files import read_file
from litlab.runs.result import StoredResult

MAX_DIGITS = 300  # of an integer; a float ends at 1e308
MAX_DEPTH = 50  # of nested lists and mappings
MAX_NAME = 200  # characters of what becomes the name of a column or a file
STATUS = ("completed", "failed", "interrupted", "pruned", "running")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)  # not bool, which is an int


def _is_list(value: Any, check: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(check, value))


def _has_values(value: Any, check: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(each is None or check(each) for each in value.values())


# Each field's type, unless null or missing: in words and as a predicate. A dot leads into a mapping, checked first.
FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("settings", "monitor", "process"), ("a mapping", lambda value: isinstance(value, dict))),
    **dict.fromkeys(("error", "started", "checkpoint", "test_split", "process.host"), ("text", _is_text)),
    **dict.fromkeys(("monitor.best", "monitor.epoch", "parameters", "epochs"), ("a number", _is_number)),
    **dict.fromkeys(("seconds", "seconds_training"), ("a number", _is_number)),
    "overrides": ("a list of texts", lambda value: _is_list(value, _is_text)),
    "swept": ("a list of names", lambda value: _is_list(value, _is_name)),
    "seed": ("a number or text", lambda value: not isinstance(value, dict | list)),
    "choices": ("names by group", lambda value: _has_values(value, _is_name)),
    "monitor.metric": ("a name", _is_name),
    "monitor.mode": ("max or min", lambda value: value in ("max", "min")),
    "metrics": ("numbers by name", lambda value: _has_values(value, _is_number) and all(map(_is_name, value))),
    # A process may be sent a signal, and 0 and -1 are whole groups of them.
    "process.pid": ("a process's number", lambda value: type(value) is int and 0 < value < 2**31),
    "process.start": ("a whole number", lambda value: type(value) is int),
}


def read(file: Path) -> StoredResult:
    """A result.json with valid `FIELDS`.

    Raises:
        FileNotFoundError: it is not there.
        OSError: it cannot be read.
        ValueError: it is not a result; the message says why.
    """
    content = read_file(file)
    try:
        result = json.loads(content, parse_int=_integer)
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None
    if not isinstance(result, dict):
        raise ValueError("must be a mapping")
    if result.get("status") not in STATUS:
        raise ValueError(f"status: must be {', '.join(STATUS[:-1])} or {STATUS[-1]}")
    _check_depth(result)
    for name, (words, is_right) in FIELDS.items():
        above, _, last = name.rpartition(".")
        value = (result.get(above) or {} if above else result).get(last)
        if value is not None and not is_right(value):
            raise ValueError(f"{name}: must be {words}")
    process = result.get("process")
    if process and (process.get("host") is None or process.get("pid") is None):
        raise ValueError("process: must have a host and a pid")
    return result


def _check_depth(result: Any) -> None:
    level, depth = [result], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        branches = (branch.values() if isinstance(branch, dict) else branch for branch in level)
        level = [leaf for branch in branches for leaf in branch if isinstance(leaf, dict | list)]


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text):,} digits")
    return int(text)
