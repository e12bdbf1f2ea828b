"""Files that are whole, or as they were before, whatever happens while they are written."""

import errno
import os
import secrets
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)  # of an OSError: the disk is full, or the user's part of it


def write_whole(path: Path, content: bytes | memoryview, once: bool = False) -> None:
    """Write a file beside and rename it: who reads meanwhile, or after a crash, finds the old one or the new one.

    The file beside has a name that nobody can guess and must not exist, so that a link planted in a shared folder leads
    nowhere; a link at `path` itself is replaced, and what it points to stays.

    Args:
        path: where to; folders above it are made.
        content: the whole of it.
        once: do not replace a file that is there, not even one that another process puts there at this moment.

    Raises:
        FileExistsError: for `once`.
        OSError: it cannot be written; what was there stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{secrets.token_hex(8)}.aside")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # never through a link
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        if once:
            os.link(aside, path)
        else:
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def is_full_disk(error: BaseException | None) -> bool:
    """Whether an error says that the disk is full, or comes of one that does: Lightning's loggers raise another."""
    seen = set[int]()  # an error that is raised again out of one that it caused is its own context
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
