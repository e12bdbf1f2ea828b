"""A folder of one's own images: a folder per class, folders train, val and test of them, or a metadata.csv."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple, cast

import polars as pl
import torch
from torch import Tensor

from litlab.config.values import Range
from litlab.data.guess import Guess
from litlab.data.labels import target_of
from litlab.data.preprocessing.spec import DataSpec
from litlab.data.preprocessing.target import TASKS, Target, task_name
from litlab.data.reading.image_cache import Index, open_images
from litlab.data.reading.images import SUFFIXES
from litlab.data.reading.listing import Entry, Listing, counted, list_files
from litlab.data.splits import Split
from litlab.data.stored import StoredInputs
from litlab.data.tensors import TensorData
from litlab.errors import RequestError
from litlab.escape import printable, some

SIDE = Annotated[int, Range(1, 4096, example=32)]


class Opened(NamedTuple):
    """What the folder holds."""

    entries: list[Entry]  # of the images, in their order
    pixels: Tensor  # uint8 (N, channels, height, width), mapped
    decoded: Index
    target: Target
    listing: Listing


class ImageFolder(TensorData):
    """PNG, JPEG, BMP and WebP files of any size and mode, (channels, height, width) of one size, values 0 to 255.

    Their aspect is kept, and the rest padded with the images' usual border. They are grey (1 channel) if all files are.
    The folder is read when something about it is asked for, such as `input_shape`: the images are decoded once, to a
    file in `data_dir`, which is mapped into memory; see `litlab.data.reading.image_cache`.

    Args:
        root: the folder; see `litlab.data.reading.listing`.
        data_dir: the decoded images are kept in its folder `images`.
        size: of the images, one number or height and width; None: their median, at most 64.
        label: the column of metadata.csv with the labels; None: label, class, category or target.
        task: the class of the task; one output for two classes if it is that of task=binary. None: what the labels
            suggest.
        task_from: for composing, see `litlab.data.labels.suggest_task`.
        settings: see `TensorData`.

    Attributes:
        background: of each channel, 0 to 255, with which images are padded.
    """

    pixel_max = 1.0  # bytes are not divided, but normalized

    def __init__(
        self,
        *,
        root: str | None = None,
        data_dir: str | Path,
        size: SIDE | Sequence[SIDE] | None = None,
        label: str | None = None,
        task: str | None = None,
        task_from: str | None = None,
        **settings: Any,
    ) -> None:
        del task_from
        super().__init__(**settings)
        if not root:
            raise RequestError("data.root=: name the folder of images, such as data.root=photos")
        sides = [size, size] if isinstance(size, int) else size
        if sides is not None and len(sides) != 2:
            raise RequestError(f"data.size={list(sides)}: must be one number, or height and width, such as [32,48]")
        self.root, self.data_dir, self.label = Path(root), Path(data_dir), label
        self.size = None if sides is None else (int(sides[0]), int(sides[1]))
        self.task = task_name(task)

    def adopt(self, spec: DataSpec) -> None:
        """Bring images to the run's size."""
        self.size = spec.input_shape[1:]  # type: ignore[assignment]

    # ---- what the folder declares

    @cached_property
    def opened(self) -> Opened:
        """The folder's images; decoded now, unless they have been."""
        asked = f"data.root={printable(str(self.root))}"
        listing = list_files(self.root, SUFFIXES, "data.root", self.label)
        target = target_of(listing, asked, self.task)
        try:
            names = [entry.name for entry in listing.entries]
            pixels, index = open_images(self.root, names, self.size, self.data_dir / "images")
        except RequestError as error:
            raise RequestError(f"{asked}: {error}") from error
        if index.broken:
            broken = some([f"{printable(name)} {problem}" for name, problem in index.broken.items()])
            listing.remarks.append(f"left out {len(index.broken):,} of {counted(len(names))}: {broken}")
        entries = [entry for entry in listing.entries if entry.name not in index.broken]
        if self.folds is not None and any(entry.part == "val" for entry in entries):
            raise RequestError(f"data.folds={self.folds}: {asked} has a validation split of its own; leave folds out")
        return Opened(entries, pixels, index, target, listing)

    @property
    def input_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """(channels, height, width)."""
        return self.opened.decoded.shape[1:]

    @property
    def num_outputs(self) -> int:  # type: ignore[override]
        """The number of classes; 1 with task=binary, and for numbers."""
        return len(self.opened.target.classes) if self.opened.target.task == "classification" else 1

    @property
    def class_names(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """The classes, sorted; None for a regression."""
        return self.opened.target.classes or None

    @property
    def target_name(self) -> str:  # type: ignore[override]
        """The column of the numbers."""
        return self.opened.target.name

    @property
    def background(self) -> tuple[float, ...]:  # type: ignore[override]
        """With which images are padded, in each channel."""
        return self.opened.decoded.background

    @property
    def guesses(self) -> list[Guess]:  # type: ignore[override]
        """What the files have decided, why, and the setting that decides otherwise."""
        _, height, width = self.input_shape
        size, channels = self.opened.decoded.reasons
        target, listing = self.opened.target, self.opened.listing
        names = f"{len(target.classes)} classes: {some([repr(name) for name in target.classes])}"
        others = [f"task={name}" for name in TASKS if name != target.task and (listing.column or name != "regression")]
        return [
            Guess("labels", listing.layout, names if target.classes else "numbers", "data.label=COLUMN"),
            Guess("size", f"{height}x{width}", size, "data.size=32, or data.size=[32,48]"),
            Guess("channels", "grey" if self.input_shape[0] == 1 else "colour", channels, "converting the files"),
            Guess("task", target.task, target.reason, ", ".join(others)),
        ]

    @property
    def remarks(self) -> list[str]:  # type: ignore[override]
        """A sentence for each kind of files that are left out."""
        return self.opened.listing.remarks

    # ---- reading

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation split, a folder or a carved one."""
        return super().has_validation or any(entry.part == "val" for entry in self.opened.entries)

    def load(self) -> tuple[Split, None] | Mapping[str, Split]:
        """The images as they lie in the mapped file: by split where the folder says, or all of them."""
        entries, pixels, _, target, _ = self.opened
        labels = [entry.label for entry in entries]
        if target.classes:  # not `Target.encode`: 1 and 1.0 are two folders
            numbers = {name: number for number, name in enumerate(target.classes)}
            targets = torch.tensor([numbers[label] for label in labels])
        else:
            targets = torch.from_numpy(target.encode(pl.Series(labels)).to_numpy(writable=True))
        everything = Split(cast(Tensor, StoredInputs(pixels, mapped=True)), targets)
        parts = dict.fromkeys(entry.part for entry in entries)
        if not any(parts):
            return everything, None
        rows = {part: [row for row, entry in enumerate(entries) if entry.part == part] for part in parts}
        return {part: everything.take(torch.tensor(each)) for part, each in rows.items()}
