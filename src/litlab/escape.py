"""Text for messages: shortened, and escaped for a terminal, Markdown or a spreadsheet, as it may be anyone's."""

import re
from collections.abc import Sequence

FORMULA = ("=", "+", "-", "@")  # a spreadsheet computes cells that begin with these


def some(names: Sequence[str]) -> str:
    """The first five, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def one_line(message: object) -> str:
    """A message without line breaks."""
    return " ".join(str(message).split())


def printable(text: str) -> str:
    r"""Escape non-printable characters (control sequences, line breaks, bidirectional marks): \x1b."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def markdown(text: str) -> str:
    """For a line or a table cell of Markdown: no HTML, no extra cells, no links, no images."""
    text = printable(text).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"[\\|`]|\](?=[(\[:])", r"\\\g<0>", text)


def csv(text: str) -> str:
    """For a CSV cell: a leading apostrophe, which spreadsheets hide, disarms a formula; numbers stay as they are."""
    text = printable(text)
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
