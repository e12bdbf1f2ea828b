"""Atomic writes, careful reads, and full disks."""

import errno
import os
import secrets
import stat
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)  # errno: disk or quota full
MAX_BYTES = 10 * 2**20  # of a file that may be anyone's


def write_atomic(path: Path, content: bytes | memoryview, once: bool = False) -> None:
    """Write a file atomically: readers, also after a crash, see the old content or the new one.

    A temporary file is renamed. Its name cannot be guessed and must not exist, so a link planted in a shared folder is
    not followed. A link at `path` is replaced; its target stays.

    Args:
        path: the file; missing folders are created.
        content: all of its content.
        once: do not replace an existing file, not even one that another process creates at the same moment.

    Raises:
        FileExistsError: with `once`, if the file exists.
        OSError: it cannot be written; the old content stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.aside")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # never through a link
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        if once:
            os.link(temporary, path)
        else:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_regular(path: Path, limit: int = -1) -> bytes:
    """The content of a regular file, or its first `limit` bytes.

    Raises:
        ValueError: it is no regular file: opening a pipe would block, and reading a device would never end.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a regular file")
    with path.open("rb") as file:
        return file.read(limit)


def read_file(file: Path) -> bytes:
    """The content of a regular file of at most MAX_BYTES.

    Raises:
        OSError: it cannot be read.
        ValueError: it is something else.
    """
    content = read_regular(file, MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES / 2**20:.0f} MiB")
    return content


def is_full_disk(error: BaseException | None) -> bool:
    """Whether an error or one of its causes means a full disk: Lightning's loggers wrap it."""
    seen = set[int]()  # contexts can form a cycle
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
