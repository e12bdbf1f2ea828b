"""One's own texts: a table with a column of texts and one of labels, or a folder of .txt files per class."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import polars as pl
import torch

from litlab.config.suggestions import suggestion
from litlab.config.values import PositiveInt, Range
from litlab.data.guess import Guess
from litlab.data.labels import classes_of
from litlab.data.preprocessing.column_types import as_text
from litlab.data.preprocessing.spec import DataSpec
from litlab.data.preprocessing.target import Target, infer_target
from litlab.data.preprocessing.text_encoding import TextEncoding
from litlab.data.reading.listing import counted, list_files
from litlab.data.reading.table_file import read_table
from litlab.data.splits import Split
from litlab.data.tensors import TensorData
from litlab.errors import RequestError
from litlab.escape import printable, some

TEXTS = ("text", "review", "sentence", "comment", "message", "content", "document", "body")
TARGETS = ("label", "sentiment", "class", "category", "target", "rating", "topic")
MAX_BYTES = 2**20  # of a .txt file


class Opened(NamedTuple):
    """What the file or the folder holds."""

    parts: dict[str, tuple[list[str], pl.Series]]  # texts and labels by split, or of all
    target: Target
    encoding: TextEncoding
    guesses: list[Guess]
    remarks: list[str]


class Texts(TensorData):
    """Texts as tokens (length,), hashed words and pairs of words; see `litlab.data.preprocessing.text_encoding`.

    The file is read when something about it is asked for, such as `input_shape`.

    Args:
        file: a table with a row per text, as data=table reads it.
        root: in place of it, a folder of .txt files; see `litlab.data.reading.listing`.
        text: the column of the texts; None: text, review, ..., or the one with the longest values.
        target: the column to predict; None: label, sentiment, ..., or the other one of two.
        num_tokens: hashes; of fewer, more words share one.
        ngrams: words in a token, from and to.
        max_length: tokens of a text, at most.
        task: the class of the task, which says whether targets are classes or numbers.
        settings: see `TensorData`.
    """

    def __init__(
        self,
        *,
        file: str | None = None,
        root: str | None = None,
        text: str | None = None,
        target: str | None = None,
        num_tokens: Annotated[int, Range(2, 16777216, example=16384)] = 16384,
        ngrams: tuple[PositiveInt, PositiveInt] = (1, 2),
        max_length: PositiveInt = 512,
        task: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if (file is None) == (root is None):
            raise RequestError("data.file=: name a table, such as data.file=reviews.csv, or a folder, data.root")
        if ngrams[0] > ngrams[1]:
            raise RequestError(f"data.ngrams={list(ngrams)}: from and to, such as [1,2]")
        self.encoding: TextEncoding | None = None  # of a finished run
        self.file, self.root, self.columns = file, root, (text, target)
        self.num_tokens, self.ngrams, self.max_length = num_tokens, (int(ngrams[0]), int(ngrams[1])), max_length
        self.task = str(task).rpartition(".")[2].lower() if task else "classification"

    def adopt(self, spec: DataSpec) -> None:
        """Make the run's tokens of texts."""
        self.encoding = spec.text

    @cached_property
    def opened(self) -> Opened:
        """The texts, read and counted."""
        guesses, remarks = list[Guess](), list[str]()
        parts = self._of_folder(guesses, remarks) if self.root else self._of_table(guesses, remarks)
        labels = next(iter(parts.values()))[1]
        target = infer_target(labels, self.task)
        everything = [text for texts, _ in parts.values() for text in texts]
        assert self.num_tokens is not None
        fitted = TextEncoding.fit(everything, self.num_tokens, self.ngrams, self.max_length)
        encoding = self.encoding or fitted
        words = f"{self.ngrams[0]} to {self.ngrams[1]} words each, hashed to {self.num_tokens:,} numbers"
        guesses += [
            Guess("tokens", f"at most {encoding.length:,} per text", words, "data.ngrams=[1,3] data.max_length=1000"),
            Guess("task", self.task, f"{labels.n_unique():,} different labels", "task=binary, task=regression"),
        ]
        return Opened(parts, target, encoding, guesses, remarks)

    def _of_table(self, guesses: list[Guess], remarks: list[str]) -> dict[str, tuple[list[str], pl.Series]]:
        frame = read_table(str(self.file))
        text, why = self._column(frame, "text", self.columns[0], TEXTS, "")
        target, reason = self._column(frame, "target", self.columns[1], TARGETS, text)
        guesses += [Guess("texts", printable(text), why, "data.text=COLUMN")]
        guesses += [Guess("labels", printable(target), reason, "data.target=COLUMN")]
        known = frame.filter(frame[text].is_not_null() & frame[target].is_not_null())
        if lost := frame.height - known.height:
            remarks.append(f"left out {lost:,} of {frame.height:,} rows, without a text or a label")
        if known.height < 2:
            raise RequestError(f"data.file={printable(str(self.file))}: {known.height} rows with a text and a label")
        return {"": (as_text(known[text]).to_list(), known[target])}

    def _column(
        self, frame: pl.DataFrame, setting: str, given: str | None, usual: tuple[str, ...], other: str
    ) -> tuple[str, str]:
        """A column, and why that one."""
        asked, names = f"data.{setting}={printable(given or '')}", [name for name in frame.columns if name != other]
        has = f"there are {some(list(map(printable, frame.columns)))}"
        if given is not None:
            if given not in names:
                raise RequestError(f"{asked}: there is no such column{suggestion(given, names)}; {has}")
            return given, f"as data.{setting} says"
        lower = {name.strip().lower(): name for name in names}
        if found := next((lower[name] for name in usual if name in lower), None):
            return found, "by its name"
        if setting == "text":
            texts = [name for name in names if frame[name].dtype == pl.String]
            if texts:
                longest = max(texts, key=lambda name: float(frame[name].str.len_chars().mean() or 0))  # type: ignore[arg-type]
                return longest, "it has the longest texts"
        elif len(names) == 1:
            return names[0], "it is the other column"
        raise RequestError(f"{asked}: name the column of the {'texts' if setting == 'text' else 'labels'}; {has}")

    def _of_folder(self, guesses: list[Guess], remarks: list[str]) -> dict[str, tuple[list[str], pl.Series]]:
        root = Path(str(self.root))
        listing = list_files(root, (".txt",), "data.root", self.columns[1])
        classes_of(listing, f"data.root={printable(str(root))}")
        guesses.append(Guess("labels", listing.layout, counted(len(listing.entries)), "data.target=COLUMN"))
        parts: dict[str, tuple[list[str], list[str]]] = {}
        broken = []
        for entry in listing.entries:
            try:
                with (root / entry.name).open("rb") as file:
                    content = file.read(MAX_BYTES + 1)
                if len(content) > MAX_BYTES:
                    raise ValueError("is larger than 1 MB")
                text = content.decode("utf-8-sig")
            except (OSError, ValueError) as error:
                broken.append(
                    f"{printable(entry.name)} ({printable(getattr(error, 'strerror', None) or str(error))[:60]})"
                )
                continue
            texts, labels = parts.setdefault(entry.part, ([], []))
            texts.append(text)
            labels.append(entry.label)
        remarks += listing.remarks
        if broken:
            remarks.append(f"left out {counted(len(broken))} that cannot be read as UTF-8: {some(broken)}")
        if not parts:
            raise RequestError(f"data.root={printable(str(root))}: no file can be read: {some(broken)}")
        return {part: (texts, pl.Series("label", labels)) for part, (texts, labels) in parts.items()}

    # ---- what the file declares

    @property
    def input_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """(length,)."""
        return (self.opened.encoding.length,)

    @property
    def num_outputs(self) -> int:  # type: ignore[override]
        """1, or the number of classes."""
        return len(self.opened.target.classes) if self.task == "classification" else 1

    @property
    def class_names(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """The labels, sorted; None for a regression."""
        return tuple(map(printable, self.opened.target.classes)) or None

    @property
    def text(self) -> TextEncoding:  # type: ignore[override]
        """For the `DataSpec`."""
        return self.opened.encoding

    @property
    def guesses(self) -> list[Guess]:  # type: ignore[override]
        """What the file has decided."""
        return self.opened.guesses

    @property
    def remarks(self) -> list[str]:  # type: ignore[override]
        """What is left out."""
        return self.opened.remarks

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation split, a folder or a carved one."""
        return super().has_validation or "val" in self.opened.parts

    def load(self) -> tuple[Split, None] | Mapping[str, Split]:
        """The texts as tokens: by split where the folder says, or all of them."""
        splits = {}
        for part, (texts, labels) in self.opened.parts.items():
            targets = np.array(self.opened.target.encode(labels).to_numpy())
            splits[part] = Split(self.text.encode(texts), torch.from_numpy(targets))
        return (splits[""], None) if "" in splits else splits
