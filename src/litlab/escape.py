"""Text that anyone may have written, made harmless where it is shown: on a terminal, in Markdown, in a spreadsheet."""

import re

FORMULA = ("=", "+", "-", "@")  # what a cell begins with that a spreadsheet computes


def printable(text: str) -> str:
    r"""In one line. What a terminal would obey or hide (escapes, line breaks, bidirectional marks) is shown as \x1b."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def markdown(text: str) -> str:
    """In a line or a table's cell of Markdown: no HTML, no further cells, no links, no pictures."""
    text = printable(text).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"[\\|`]|\](?=[(\[:])", r"\\\g<0>", text)


def csv(text: str) -> str:
    """In a cell of CSV: a formula gets an apostrophe before it, which spreadsheets do not show; a number stays one."""
    text = printable(text)
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
