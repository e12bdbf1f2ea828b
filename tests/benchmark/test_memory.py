"""Peak memory: of arrays, about their size in the file."""

import sys

import pytest

from litlab.benchmark import memory
from litlab.benchmark.memory import CASES, Case, measure_memory
from litlab.data.arrays import Arrays
from litlab.data.table import Table
from litlab.errors import RequestError


def test_the_generated_files_are_what_they_are_called(tmp_path):
    memory.write_table(tmp_path / "table.csv", rows=2000)
    kinds = [
        column.kind for column in Table(file=str(tmp_path / "table.csv"), target="price", test_size=9).fitted.columns
    ]
    assert [kinds.count(kind) for kind in ("number", "category", "date", "boolean")] == [45, 3, 1, 1]
    memory.write_mapped(tmp_path / "mapped", count=30)
    inputs = Arrays(file=str(tmp_path / "mapped"), test_size=9).raw_splits()["train"].inputs
    assert inputs.mapped and inputs.shape == (21, 1, 56, 56)
    with pytest.raises(RequestError, match=r"^npz: there is no such case; choose from csv, uint8, float64, int8, mapp"):
        next(measure_memory(["npz"], tmp_path, tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not say what is anonymous")
def test_arrays_take_their_own_size(tmp_path, root, monkeypatch):
    smaller = Case(lambda path: memory.write_images(path, 100_000), *CASES["uint8"][1:])
    monkeypatch.setitem(CASES, "uint8", smaller)
    images, none = measure_memory(["uint8", "none"], tmp_path, root)
    assert 0.25 < images.file < 0.35 and not list(tmp_path.glob("*.npz"))
    assert 0.9 * images.file < images.anonymous - none.anonymous < 1.6 * images.file
