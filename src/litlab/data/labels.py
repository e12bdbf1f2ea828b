"""What the labels of a folder's files are: classes or, in metadata.csv, perhaps numbers."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from litlab.data.preprocessing.column_types import numbers_in, some_values
from litlab.data.preprocessing.target import Target, suggested_task
from litlab.data.reading.listing import METADATA, Listing, counted, named_labels
from litlab.errors import RequestError
from litlab.escape import some


def classes_of(listing: Listing, asked: str) -> tuple[str, ...]:
    """The labels of the training files, sorted; entries of other labels are left out, with a remark.

    Raises:
        RequestError: there is one class.
    """
    names = sorted({entry.label for entry in listing.entries if entry.part in ("", "train")})
    if len(names) < 2:
        one = f"one class, '{names[0]}'" if names else "no class"
        raise RequestError(f"{asked}: holds {one}; there is nothing to tell apart: a folder per class, two or more")
    unknown = Counter(entry.label for entry in listing.entries if entry.label not in names)
    if unknown:
        listing.entries = [entry for entry in listing.entries if entry.label in names]
        listing.remarks.append(
            f"left out {counted(unknown.total())} of classes that the training files lack: {some(sorted(unknown))}"
        )
    return tuple(names)


def target_of(listing: Listing, asked: str, task: str | None) -> Target:
    """What is to be predicted: classes or, of labels in metadata.csv, perhaps numbers. Entries of others are left out.

    Args:
        listing: of the labelled files.
        asked: the folder's setting, for errors.
        task: binary, classification or regression; None: what the labels suggest.

    Raises:
        RequestError: the labels cannot be that.
    """
    suggested, reason = suggested_task(listing.labels) if listing.column else ("", "labels are classes")
    if (task or suggested) != "regression":
        classes = classes_of(listing, asked)
        if task == "binary" and len(classes) != 2:
            raise RequestError(f"task=binary: {asked} has {len(classes)} classes; use task=classification")
        kind = task or "classification"
        return Target(listing.column, kind, "as task= says" if suggested == "regression" else reason, classes)
    if not listing.column:
        raise RequestError(f"task=regression: {asked}: its folders are classes; name the numbers in {METADATA}")
    numbers = numbers_in(pl.Series([entry.label for entry in listing.entries], dtype=pl.String))
    column = f"{asked}: the column {listing.column} of {METADATA}"
    if numbers.null_count() > len(numbers) / 2:
        raise RequestError(f"{column} holds no numbers ({some_values(listing.labels)}); set task=classification")
    if numbers_in(listing.labels).drop_nulls().n_unique() < 2:
        raise RequestError(f"{column} has one value; there is nothing to predict")
    if lost := numbers.null_count():
        listing.remarks.append(f"left out {counted(lost)} whose {listing.column} is no number")
        known = numbers.is_not_null().to_list()
        listing.entries = [entry for entry, is_known in zip(listing.entries, known, strict=True) if is_known]
    return Target(listing.column, "regression", reason if suggested == "regression" else "as task= says", ())


def suggest_task(settings: Mapping[str, Any]) -> list[str]:
    """The override that chooses the task which the labels suggest: regression for numbers in metadata.csv.

    Two labels are classes, too: task=binary is the user's choice.

    Args:
        settings: of a data set with `root` and `label`.

    Raises:
        RequestError: metadata.csv cannot be read, or has no column of labels.
    """
    labels = named_labels(Path(str(settings.get("root"))), settings.get("label"))
    is_number = len(labels) and suggested_task(labels)[0] == "regression"
    return [f"task={'regression' if is_number else 'classification'}"]
