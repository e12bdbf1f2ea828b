"""One's own arrays: inputs and targets in a .npz file, .npy files, or a folder of them."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from litlab.data.guess import Guess
from litlab.data.reading.array_choice import Labels, choose, judge, targets_of
from litlab.data.reading.array_file import KINDS, open_file
from litlab.data.reading.array_layout import MEANING, Laid, Layout, judge_layout, laid_out
from litlab.data.splits import Split
from litlab.data.stored import StoredInputs
from litlab.data.tensors import TensorData
from litlab.errors import RequestError
from litlab.escape import printable, some


class Opened(NamedTuple):
    """What the file holds."""

    parts: dict[str, Split]
    labels: Labels
    laid: Laid
    guesses: list[Guess]


class Arrays(TensorData):
    """Rows of a table, sequences or images, and a label or numbers for each.

    Small types, such as uint8, keep their size in memory; larger ones become float32. .npy files are mapped, and may be
    larger than memory.
    The file is read when something about it is asked for, such as `input_shape`.

    Args:
        file: a .npz or .npy file, or a folder of .npy files.
        inputs: the name of the inputs in it; None: a usual one, such as x, X_train or images.
        targets: of the targets; None: a usual one, such as y, y_train or labels. A path where `file` is a .npy file.
        layout: what the inputs' axes mean; see `litlab.data.reading.array_layout`.
        task: the class of the task, which says whether targets are numbers or classes; None: what they suggest.
        task_from: for composing, see `litlab.data.reading.array_choice.suggest_task`.
        settings: see `TensorData`.
    """

    def __init__(
        self,
        *,
        file: str | None = None,
        inputs: str | None = None,
        targets: str | None = None,
        layout: Layout | None = None,
        task: str | None = None,
        task_from: str | None = None,
        **settings: Any,
    ) -> None:
        del task_from
        super().__init__(**settings)
        self.file, self.names, self.layout = file, (inputs, targets), layout
        self.task = str(task).rpartition(".")[2].lower() if task else None

    @cached_property
    def opened(self) -> Opened:
        """The file's arrays, checked."""
        inputs, targets = self.names
        file, targets = open_file(self.file, targets)
        chosen, reason = choose(file, inputs, targets)
        arrays = {part: (file.inputs(each.inputs), targets_of(file, each.targets)) for part, each in chosen.items()}
        problems = [f"{file.asked}: {problem}" for problem in _problems(arrays, chosen)]
        if problems:
            raise RequestError("\n".join(problems))
        first = next(iter(arrays.values()))
        laid = judge_layout(first[0].shape, first[0].dtype == np.uint8, self.layout)
        labels = judge(first[1], self.task)
        if self.task == "binary" and len(labels.classes) != 2:
            raise RequestError(f"task=binary: the targets have {len(labels.classes)} different values")
        names = next(iter(chosen.values()))
        called = f"{printable(names.inputs)} and {printable(names.targets)}"
        guesses = [
            Guess("arrays", called, reason, "data.inputs=NAME data.targets=NAME"),
            Guess("layout", MEANING[laid.layout], laid.reason, f"data.layout={', '.join(MEANING)}"),
            Guess("task", self.task or labels.task, labels.reason, "task=regression, task=classification"),
        ]
        mapped = file.is_mapped
        parts = {part: Split(_inputs(x, laid, mapped), _targets(y, labels)) for part, (x, y) in arrays.items()}
        return Opened(parts, labels, laid, guesses)

    @property
    def input_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Of a sample, as litlab lays it out."""
        return tuple(next(iter(self.opened.parts.values())).inputs.shape[1:])

    @property
    def num_outputs(self) -> int:  # type: ignore[override]
        """The number of classes, or of numbers to predict; 1 with task=binary."""
        if self.opened.labels.classes:
            return 1 if self.task == "binary" else len(self.opened.labels.classes)
        return int(np.prod(next(iter(self.opened.parts.values())).targets.shape[1:]))

    @property
    def class_names(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """The different labels, sorted; None for a regression."""
        return self.opened.labels.classes or None

    @property
    def guesses(self) -> list[Guess]:  # type: ignore[override]
        """What the file has decided."""
        return self.opened.guesses

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation split, in the file or carved."""
        return super().has_validation or "val" in self.opened.parts

    def load(self) -> tuple[Split, None] | Mapping[str, Split]:
        """The parts that the file has, or all samples."""
        parts = self.opened.parts
        return (parts[""], None) if "" in parts else parts


def _problems(arrays: Mapping[str, tuple[np.ndarray, np.ndarray]], names: Mapping[str, Any]) -> list[str]:
    """What is wrong with the arrays, a sentence each."""
    found = []
    shapes = {part: inputs.shape[1:] for part, (inputs, _) in arrays.items()}
    for part, (inputs, targets) in arrays.items():
        x, y = printable(names[part].inputs), printable(names[part].targets)
        if inputs.dtype.kind not in KINDS:
            found.append(f"'{x}' holds texts; inputs are numbers")
        if not inputs.ndim or not targets.ndim or len(inputs) != len(targets):
            lengths = [str(len(each)) if each.ndim else "one number" for each in (inputs, targets)]
            found.append(f"'{x}' has {lengths[0]} samples and '{y}' {lengths[1]}; they must be as many")
        elif len(inputs) < 2:
            found.append(f"'{x}' has {len(inputs)} sample{'s' * (not len(inputs))}; there must be more")
    if len(set(shapes.values())) > 1:
        found.append(f"the samples differ in shape: {some([f'{part} {shape}' for part, shape in shapes.items()])}")
    return found


def _inputs(array: np.ndarray, laid: Laid, is_mapped: bool) -> Tensor:
    """As litlab lays samples out; they stay as they lie, and splits of them are no copies."""
    if not array.dtype.isnative or array.dtype.name in ("uint16", "uint32", "uint64", "float128"):
        array, is_mapped = array.astype(np.float32), False  # which torch cannot index
    return cast(Tensor, StoredInputs(laid_out(torch.from_numpy(array), laid.layout), mapped=is_mapped))


def _targets(array: np.ndarray, labels: Labels) -> Tensor:
    """Class indices, int64, or numbers, float32."""
    if not labels.classes:
        return torch.from_numpy(array.astype(np.float32))
    index = np.searchsorted(labels.values, array).clip(max=len(labels.values) - 1)
    unknown = labels.values[index] != array
    if unknown.any():
        those = some([printable(str(each)) for each in np.unique(array[unknown]).tolist()])
        raise RequestError(f"data.targets: labels that the training part lacks: {those}")
    return torch.from_numpy(index.astype(np.int64))
