"""Tiny tables of the documents: exam scores, and a line through three points."""

from typing import Any

from torch import Tensor, tensor

from litlab.data.tensors import Split, TensorData


class ExamScores(TensorData):
    """Five students' scores in three quizzes; the target is the score in the final exam.

    Args:
        typo: the third student's third score is 80 instead of 90, as in the document's second copy of the table.
        settings: of TensorData.
    """

    input_shape = (3,)
    num_outputs = 1
    feature_names = ("quiz 1", "quiz 2", "quiz 3")
    target_name = "final exam"
    rows = (
        (73.0, 80.0, 75.0, 152.0),
        (93.0, 88.0, 93.0, 185.0),
        (89.0, 91.0, 90.0, 180.0),
        (96.0, 98.0, 100.0, 196.0),
        (73.0, 66.0, 70.0, 142.0),
    )

    def __init__(self, *, typo: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.typo = typo

    def load(self) -> tuple[Split, None]:
        """All rows; there is no test split."""
        rows = tensor(self.rows)
        if self.typo:
            rows[2, 2] = 80.0
        return _split(rows), None


class Line(TensorData):
    """y = 2x at x = 1, 2, 3."""

    input_shape = (1,)
    num_outputs = 1
    feature_names = ("x",)
    target_name = "y"
    rows = ((1.0, 2.0), (2.0, 4.0), (3.0, 6.0))

    def load(self) -> tuple[Split, None]:
        """All points; there is no test split."""
        return _split(tensor(self.rows)), None


def _split(rows: Tensor) -> Split:
    """The last column is the target."""
    return Split(rows[:, :-1].clone(), rows[:, -1].clone())
