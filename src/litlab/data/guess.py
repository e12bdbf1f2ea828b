"""What a data set concludes from the user's files, and how the user decides otherwise."""

from typing import NamedTuple


class Guess(NamedTuple):
    """One conclusion.

    Attributes:
        what: it is about, such as size.
        value: what was concluded.
        reason: why.
        override: the setting that decides otherwise.
    """

    what: str
    value: str
    reason: str
    override: str
