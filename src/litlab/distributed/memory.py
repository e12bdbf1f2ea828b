"""The memory that this process may still take: what the machine has free, and what its control groups allow."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

# Of a control group's version: its limit, its use, and the pages of files in it that the kernel would drop first.
FILES = {2: ("memory.max", "memory.current", "inactive_file")}
FILES[1] = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def available(root: Path = Path("/")) -> int | None:
    """Bytes of main memory; None where it is not known, as outside of Linux.

    Args:
        root: of the file system.
    """
    known = [_field(root / "proc" / "meminfo", "MemAvailable:")]
    free = [1024 * number for number in known if number is not None] + list(_left_in_groups(root))
    return min(free, default=None)


def _left_in_groups(root: Path) -> Iterator[int]:
    """What each control group of this process has left: docs.kernel.org/admin-guide/cgroup-v2.html, and v1."""
    for line in _text(root / "proc" / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        folder = root / "sys" / "fs" / "cgroup" / controllers
        limit_file, use_file, files = FILES[1 if controllers else 2]
        group = PurePosixPath(path.lstrip("/"))
        for each in (group, *group.parents):  # the root of a container stands for what it cannot see
            limit, use = (_text(folder / each / name).strip() for name in (limit_file, use_file))
            if limit.isdecimal() and use.isdecimal():
                yield max(int(limit) - int(use) + (_field(folder / each / "memory.stat", files) or 0), 0)


def _field(path: Path, name: str) -> int | None:
    """The number of a line `NAME NUMBER ...`."""
    lines = (line.split() for line in _text(path).splitlines())
    return next((int(words[1]) for words in lines if words[:1] == [name]), None)


def _text(path: Path) -> str:
    """Of a file; nothing if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
