"""The truth beside predictions, where the table to predict has the target's column."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from litlab.data.preprocessing.column_types import as_text, numbers_in
from litlab.data.preprocessing.spec import DataSpec


@dataclass(frozen=True)
class Truth:
    """The target's column of a table.

    Attributes:
        name: of the column.
        values: class indices or numbers, by row; null where a row has none.
        class_names: of the run; None for a regression.
    """

    name: str
    values: pl.Series
    class_names: Sequence[str] | None

    def beside(self, predicted: pl.DataFrame) -> pl.DataFrame:
        """The predictions with the truth as their second column, after `row`.

        For classes it is called truth, for numbers actual NAME, and there is a last column, residual: predicted minus
        actual, as in the predictions.csv of an evaluation.
        """
        values = self.values[predicted["row"]]
        if self.class_names is None:
            residual = (predicted.to_series(1).cast(pl.Float64) - values).cast(pl.Float32)
            actual = values.alias(f"actual {self.name}")
            return predicted.insert_column(1, actual).with_columns(residual.alias("residual"))
        names = dict(enumerate(self.class_names))
        return predicted.insert_column(1, values.replace_strict(names, return_dtype=pl.String).alias("truth"))

    def agreement(self, compared: pl.DataFrame) -> str:
        """What `beside` has made, in a sentence; nothing where no predicted row has a truth."""
        known = compared.filter(compared.to_series(1).is_not_null())
        if not len(known):
            return ""
        told = f"beside the truth of {len(known):,} row{'s' * (len(known) > 1)}"
        if self.class_names is None:
            residual = known["residual"].to_numpy()
            rmse, mae = np.sqrt(np.mean(residual**2)), np.mean(np.abs(residual))
            return f"{told}: RMSE {rmse:.4g}, mean absolute error {mae:.4g}"
        label = "label" if "label" in known else "label_0"
        right = int((known["truth"] == known[label]).sum())
        return f"{told}: {right:,} right ({right / len(known):.1%})"


def find_truth(spec: DataSpec, frame: pl.DataFrame, extra: Sequence[str]) -> Truth | None:
    """The truth in a table; None where it has none, or the run predicts several numbers.

    Args:
        spec: of the data that the run was trained on.
        frame: the table; cells may be text.
        extra: its columns that the run was not trained on. The target's own name counts (its unit may be left out), and
            `target`; of classes `class` and `label`, too.
    """
    if spec.table is not None:
        accepted = [spec.table.target.name]
    elif spec.class_names is not None:
        accepted = ["class", "label", "target"]
    elif spec.num_outputs == 1:
        accepted = [spec.target_name, spec.target_name.partition(" (")[0], "target"]
    else:
        return None
    there = {name.strip(): name for name in reversed(extra)}
    column = next((there[name] for name in accepted if name in there), None)
    if column is None:
        return None
    values = _encoded(spec, frame[column])
    return Truth(column, values, spec.class_names) if values.null_count() < len(values) else None


def _encoded(spec: DataSpec, cells: pl.Series) -> pl.Series:
    """Class indices, or numbers; null in other cells."""
    if spec.class_names is None:
        return numbers_in(cells)
    texts, names = as_text(cells), list(spec.class_names)
    by_name = texts.replace_strict(names, range(len(names)), default=None, return_dtype=pl.Int64)
    if spec.table is not None or by_name.null_count() < len(by_name):
        return by_name
    numbers = list(map(str, range(len(names))))
    return texts.replace_strict(numbers, range(len(names)), default=None, return_dtype=pl.Int64)
