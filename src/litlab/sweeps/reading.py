"""A result.json as it is read: anyone may have written it, so it is checked here, once, and can be relied on then."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from litlab.runs.result import StoredResult

MAX_BYTES = 10 * 2**20
MAX_DIGITS = 300  # of an integer; a float ends at 1e308
MAX_DEPTH = 50  # lists and mappings within each other
MAX_NAME = 200  # characters of what becomes the name of a column or a file


class Kind(NamedTuple):
    """What a field holds: in words, and as a test."""

    words: str
    fits: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


STATUS = ("completed", "failed", "interrupted", "running")
TEXT = Kind("text", lambda value: isinstance(value, str))
TEXTS = Kind("a list of texts", lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value))
NAMES = Kind("a list of names", lambda value: isinstance(value, list) and all(map(_is_name, value)))
NUMBER = Kind("a number", _is_number)
MAPPING = Kind("a mapping", lambda value: isinstance(value, dict))

# What is used of a result, and what it must be, unless it is null or left out. A dot leads into a mapping.
FIELDS = {
    "error": TEXT,
    "started": TEXT,
    "overrides": TEXTS,
    "swept": NAMES,
    "seed": Kind("a number or text", lambda value: not isinstance(value, dict | list)),
    "choices": Kind(
        "names by group",
        lambda value: isinstance(value, dict) and all(each is None or _is_name(each) for each in value.values()),
    ),
    "settings": MAPPING,
    "monitor": MAPPING,
    "monitor.metric": Kind("a name", _is_name),
    "monitor.mode": Kind("max or min", lambda value: value in ("max", "min")),
    "monitor.best": NUMBER,
    "monitor.epoch": NUMBER,
    "metrics": Kind(
        "numbers by name",
        lambda value: (
            isinstance(value, dict)
            and all(_is_name(name) and (each is None or _is_number(each)) for name, each in value.items())
        ),
    ),
    "checkpoint": TEXT,
    "seconds": NUMBER,
    "seconds_training": NUMBER,
    "process": MAPPING,
    "process.host": TEXT,
    # A process may be sent a signal, and 0 and -1 are whole groups of them.
    "process.pid": Kind("a process's number", lambda value: _is_whole(value) and 0 < value < 2**31),
    "process.start": Kind("a whole number", _is_whole),
}


def read(file: Path) -> StoredResult:
    """A result.json, with all `FIELDS` of it as they must be.

    Raises:
        FileNotFoundError: it is not there.
        OSError: it cannot be read.
        ValueError: it is no result; the message says why.
    """
    content = read_file(file)
    try:
        result = json.loads(content, parse_int=_integer)
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None
    return _checked(result)


def read_file(file: Path) -> bytes:
    """A regular file of moderate size.

    Raises:
        OSError: it cannot be read.
        ValueError: it is something else.
    """
    if not stat.S_ISREG(file.stat().st_mode):  # a pipe would never end to be waited for, a device to be read
        raise ValueError("no regular file")
    with file.open("rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES / 2**20:.0f} MiB")
    return content


def _checked(result: Any) -> StoredResult:
    if not isinstance(result, dict):
        raise ValueError("must be a mapping")
    if result.get("status") not in STATUS:
        raise ValueError(f"status: must be {', '.join(STATUS[:-1])} or {STATUS[-1]}")
    level: list[Any] = [result]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        branches = (branch.values() if isinstance(branch, dict) else branch for branch in level)
        level = [leaf for branch in branches for leaf in branch if isinstance(leaf, dict | list)]
    for name, kind in FIELDS.items():
        above, _, last = name.rpartition(".")
        found = (result.get(above) or {} if above else result).get(last)
        if found is not None and not kind.fits(found):
            raise ValueError(f"{name}: must be {kind.words}")
    process = result.get("process")
    if process and (process.get("host") is None or process.get("pid") is None):
        raise ValueError("process: must have a host and a pid")
    return result


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text):,} digits")
    return int(text)
