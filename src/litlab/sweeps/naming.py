"""Names of a sweep's jobs and their folders, by the settings that differ."""

import re
from collections.abc import Collection, Iterable, Sequence

from litlab.config.column_names import COLUMNS, decoded

MAX_BYTES = 99  # of a folder's name
LONG_NUMBER = re.compile(r"-?\d*\.\d{5,}(e-?\d+)?")  # as a search draws them


def key_of(override: str) -> str:
    """The setting that an override is of: `+model.depth=3` is of model.depth."""
    return override.split("=", 1)[0].lstrip("+~").split("@")[0]


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """For each setting the shortest suffix of its name that is unique: optimizer.lr is lr; of a column, its name."""
    short = {}
    for key in keys:
        if key.startswith(f"{COLUMNS}."):
            short[key] = decoded(key).removeprefix(f"{COLUMNS}.")
            continue
        parts = key.split(".")
        ends = (".".join(parts[-length:]) for length in range(1, len(parts) + 1))
        short[key] = next((end for end in ends if sum(f".{other}".endswith(f".{end}") for other in keys) == 1), key)
    return short


def swept_values(overrides: Iterable[str], swept: Sequence[str]) -> dict[str, str]:
    """The swept settings of a job by short name, in the order of `swept`, as text: four digits of a long number."""
    given = {key_of(override): _rounded(override.partition("=")[2]) for override in overrides}
    short = short_keys(swept)
    return {short[key]: given[key] for key in swept if key in given}


def differing_settings(overrides: Iterable[str], others: Iterable[Collection[str]]) -> list[str]:
    """The settings that at least one of the other jobs was not given in the same way, without `sweep.*` and deletions.

    Args:
        overrides: the job's.
        others: the overrides of each other job.
    """
    others = list(others)
    words = (word for word in overrides if not key_of(word).startswith("sweep.") and not word.startswith("~"))
    return [key_of(word) for word in words if any(word not in other for other in others)]


def folder_name(number: int, settings: dict[str, str]) -> str:
    """The name of a job's folder: its number, and what differs: 3_lr=0.1,batch_size=32.

    Special characters become dashes, see `slug`; the name is shorter than 100 bytes.
    """
    texts = [f"{slug(key)}={slug(value)}" for key, value in settings.items()]
    name = "_".join(filter(None, [str(number), ",".join(texts)]))
    return name.encode()[:MAX_BYTES].decode(errors="ignore").rstrip(",=-. ")


def slug(text: str) -> str:
    """A text with a dash for whatever is special to a shell, a file system or a reader."""
    return re.sub(r"[^\w.+-]+", "-", text.replace("\\", "").strip("[](){}'\" ")) or "-"


def _rounded(text: str) -> str:
    return f"{float(text):.4g}" if LONG_NUMBER.fullmatch(text) else text
