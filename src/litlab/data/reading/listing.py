"""The labelled files of a folder: a folder per class, also in folders train, val and test, or named by metadata.csv."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import polars as pl

from litlab.config.suggestions import suggestion
from litlab.errors import RequestError
from litlab.escape import one_line, printable, some

METADATA = "metadata.csv"
NAMES = ("file_name", "filename", "file", "path", "image")  # columns that name the file, in this order
LABELS = ("label", "class", "category", "target")
PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
UNNAMED = ("__MACOSX", "Thumbs.db", "desktop.ini")  # what operating systems leave; names with a dot first likewise


@dataclass(frozen=True)
class Entry:
    """A file and its label.

    Attributes:
        name: the path relative to the folder.
        label: as the folder or the table says, in printable characters.
        part: train, val or test; empty where the folder does not say.
    """

    name: str
    label: str
    part: str = ""


@dataclass
class Listing:
    """The labelled files of a folder, in the order of their parts and names.

    Attributes:
        entries: of the files.
        layout: how the folder is organized, in words.
        remarks: a sentence for each kind of files that are left out.
        column: of metadata.csv with the labels; empty where folders name them.
    """

    entries: list[Entry]
    layout: str
    remarks: list[str] = field(default_factory=list)
    column: str = ""

    @property
    def labels(self) -> pl.Series:
        """Of the training files."""
        return pl.Series(self.column, [entry.label for entry in self.entries if entry.part in ("", "train")])


def list_files(root: Path, suffixes: tuple[str, ...], setting: str, label: str | None = None) -> Listing:
    """The files with these suffixes in a folder.

    Hidden files do not count. Links to files, and to the folder of a class, are followed; deeper ones are not.

    Args:
        root: the folder.
        suffixes: of the files that count, in lower case.
        setting: which names the folder, for errors.
        label: the column of metadata.csv that has the labels.

    Raises:
        RequestError: there is no such folder, no labelled file, or a name leads out of the folder.
    """
    asked, kinds = f"{setting}={printable(str(root))}", "/".join(suffixes[:3])
    instead = f"it must be a folder that holds a folder per class, CLASS/*{suffixes[0]}, or {METADATA}"
    try:
        if not root.exists():
            raise RequestError(f"{asked}: does not exist; {instead}")
        if not root.is_dir():
            raise RequestError(f"{asked}: is a file; {instead}")
        parts = _parts(root)
        listing = Listing([], "a folder per class", [])
        if parts:
            listing.layout = f"folders {', '.join(parts)}, each with {listing.layout}"
        for folder, part in (parts or {"": ""}).items():
            _add(listing, root, folder, part, suffixes, asked, label)
        if not all((root / folder / METADATA).exists() for folder in parts or ("",)):
            listing.column = ""
    except OSError as error:
        raise RequestError(f"{asked}: cannot be read ({error.strerror}: {printable(str(error.filename))})") from error
    if not listing.entries:
        told = "".join(f"; {remark}" for remark in listing.remarks)
        raise RequestError(f"{asked}: holds no file {kinds} in a folder of its class; {instead}{told}")
    return listing


def named_labels(root: Path, label: str | None) -> pl.Series:
    """The labels of the training files in metadata.csv, as texts; none where folders name them, or there is no folder.

    Raises:
        RequestError: metadata.csv cannot be read, or has no column of labels.
    """
    labels = pl.Series("", [], pl.String)
    try:
        folders = [name for name, part in (_parts(root) or {"": ""}).items() if part in ("", "train")]
        for file in (root / name / METADATA for name in folders):
            if file.exists():
                named = _read_metadata(file, f"data.root={printable(str(root))}", root, label)
                labels.append(pl.Series("", [value for _, value in named.rows if value], pl.String))
    except OSError:  # as is told when it is opened
        pass
    return labels


def _parts(root: Path) -> dict[str, str]:
    """The folders that hold a split, by name, and which; none unless all are so named and hold folders."""
    folders = sorted(entry.name for entry in _visible(root) if entry.is_dir())
    found = {name: PARTS[name.lower()] for name in folders if name.lower() in PARTS}
    if "train" not in found.values() or len(found) < len(folders) or (root / METADATA).exists():
        return {}
    divided = all((root / name / METADATA).exists() or any(e.is_dir() for e in _visible(root / name)) for name in found)
    order = ("train", "val", "test")
    return dict(sorted(found.items(), key=lambda item: order.index(item[1]))) if divided else {}


def _add(
    listing: Listing, root: Path, folder: str, part: str, suffixes: tuple[str, ...], asked: str, label: str | None
) -> None:
    """Add the files of the folder or, in it, of one split."""
    if (root / folder / METADATA).exists():
        listing.layout = f"the labels of {METADATA}"
        _add_named(listing, root, folder, part, asked, label)
        return
    others: Counter[str] = Counter()
    classes = [entry for entry in _visible(os.path.join(root, folder)) if entry.is_dir()]
    outside = [entry for entry in _visible(os.path.join(root, folder)) if not entry.is_dir()]
    if outside:
        where = f"directly in {printable(folder or root.name)}"
        listing.remarks.append(f"left out {counted(len(outside))} {where}, in no folder of a class")
    empty = []
    for each in classes:
        before = len(listing.entries)
        of_class = printable(each.name)
        for name in _files(each.path):
            if name.lower().endswith(suffixes):
                listing.entries.append(Entry(name[len(str(root)) + 1 :], of_class, part))
            else:
                others[printable(Path(name).suffix.lower() or "no suffix")] += 1
        empty += [of_class] * (len(listing.entries) == before)
    if others:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in others.most_common(5))
        listing.remarks.append(f"left out {counted(others.total())} of other kinds ({kinds})")
    if empty:
        where = f" in {printable(folder)}" if folder else ""
        listing.remarks.append(f"left out folders without a file that counts{where}: {some(empty)}")


def _add_named(listing: Listing, root: Path, folder: str, part: str, asked: str, label: str | None) -> None:
    """Add the files that a table names."""
    named = _read_metadata(root / folder / METADATA, asked, root, label)
    listing.column = named.column
    if away := [name for name, _ in named.rows if _leaves(name)]:
        raise RequestError(f"{named.where} names files outside of the folder: {some(list(map(printable, away)))}")
    missing, unlabelled = [], 0
    for name, value in named.rows:
        relative = os.path.join(folder, name)
        if not name or not (root / relative).is_file():
            missing.append(printable(name) or "(no name)")
        elif not value:
            unlabelled += 1
        else:
            listing.entries.append(Entry(relative, printable(value), part))
    if missing:
        listing.remarks.append(f"{METADATA} names {counted(len(missing))} that cannot be found: {some(missing)}")
    if unlabelled:
        listing.remarks.append(f"left out {counted(unlabelled)} without a {named.column} in {METADATA}")


class _Metadata(NamedTuple):
    """A metadata.csv: the column of labels, names and labels of the files, and how errors name it."""

    column: str
    rows: list[tuple[str, str]]
    where: str


def _read_metadata(path: Path, asked: str, root: Path, label: str | None) -> _Metadata:
    where = f"{asked}: {printable(os.path.relpath(path, root))}"
    try:
        table = pl.read_csv(path, infer_schema=False)
    except Exception as error:  # polars' errors have no common class of their own
        raise RequestError(f"{where} cannot be read as CSV ({printable(one_line(error))[:80]})") from error
    by_lower = {name.strip().lower(): name for name in table.columns}
    has = f"it has {', '.join(map(printable, table.columns[:8])) or 'no columns'}"
    named = next((by_lower[name] for name in NAMES if name in by_lower), None)
    if named is None:
        raise RequestError(f"{where} has no column {NAMES[0]}, which names the files; {has}")
    chosen = label if label in table.columns else next((by_lower[name] for name in LABELS if name in by_lower), None)
    if chosen is None or (label is not None and label not in table.columns):
        meant = suggestion(label, table.columns) if label else ""
        raise RequestError(f"{where} has no column {printable(label or LABELS[0])}{meant}; {has}; set data.label")
    names = [(name or "").strip() for name in table[named].to_list()]
    labels = [(value or "").strip() for value in table[chosen].to_list()]
    return _Metadata(printable(chosen), list(zip(names, labels, strict=True)), where)


def counted(number: int) -> str:
    """1 file, 2,000 files."""
    return f"{number:,} file{'' if number == 1 else 's'}"


def _leaves(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or "\0" in name


def _visible(folder: Path | str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".") and entry.name not in UNNAMED]
    return sorted(found, key=lambda entry: entry.name)


def _files(folder: str) -> Iterator[str]:
    """The visible files below a folder, sorted; neither pipes nor devices, which would never end."""
    for entry in _visible(folder):
        if entry.is_file():
            yield entry.path
        elif entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path)
