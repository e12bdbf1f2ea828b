"""What is told of a table's file: how it is written, and in one line each what is wrong with it."""

import gzip

import polars as pl
import pytest

from litlab.data.preprocessing.target import suggest_task
from litlab.data.reading.table_file import check_columns, column_names, read_table
from litlab.errors import RequestError

ROWS = [[1.5, "a"], [2.5, None], [None, "c"]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"x,y\n1.5,a\n2.5,NA\n?,c\n"),
        ("a.tsv", b"x\ty\n1.5\ta\n2.5\t\nnull\tc\n"),
        ("a.csv", b"x;y\n1,5;a\n2,5;N/A\n;c\n"),  # decimal comma
        ("a.csv", "\ufeffx,y\n1.5,a\n2.5,nan\n-,c\n".encode()),  # byte order mark
        ("a.csv", "x,y\n1.5,a\n2.5,NULL\n.,c\n".encode("utf-16")),
        ("a.csv", b"x|y\r\n1.5|a\r\n2.5|None\r\n#N/A|c\r\n"),
        ("a.csv", b'"x","y"\n1.5,"a"\n2.5,""\n-999,c\n'),
        ("a.csv.gz", gzip.compress(b"x,y\n 1.5 ,a\n2.5,  \n<NA>,c\n", mtime=0)),
        ("A.TXT", b"x,y\n1.5,a\n2.5,NA\ninf,c\n"),
    ],
)
def test_however_it_is_written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    frame = read_table(str(path), ["-999"])
    numbers = frame["x"].cast(pl.Float64)
    assert [list(row) for row in zip(numbers, frame["y"], strict=True)] == ROWS
    assert column_names(str(path)) == ["x", "y"]
    assert read_table(str(path), ["-999"], columns=["y"])["y"].to_list() == ["a", None, "c"]


def test_other_formats(tmp_path):
    frame = pl.DataFrame({"x": [1.5, 2.5, float("nan")], "y": ["a", "NA", "c"]})
    frame.write_parquet(tmp_path / "a.parquet")
    assert read_table(str(tmp_path / "a.parquet")).rows() == [tuple(row) for row in ROWS]
    assert column_names(str(tmp_path / "a.parquet")) == ["x", "y"]
    (tmp_path / "latin.csv").write_bytes("ville,n\nOrléans,1\nPau,2\n".encode("cp1252"))
    assert read_table(str(tmp_path / "latin.csv"))["ville"].to_list() == ["Orléans", "Pau"]
    (tmp_path / "bare.csv").write_text("1,2\n3,4\n")
    assert read_table(str(tmp_path / "bare.csv"), header=False).columns == ["column_0", "column_1"]
    # Types are those of all rows, not of the first ones.
    (tmp_path / "late.csv").write_text("x,y\n" + "1,2\n" * 20_000 + "1.5,b\n")
    assert read_table(str(tmp_path / "late.csv"))[-1].rows() == [(1.5, "b")]


GOOD = "a,b,y\n" + "".join(f"{i},{i % 3},{i * 2.5}\n" for i in range(30))
BROKEN = {  # the file's name, content, target: what is told
    "missing": ("hause.csv", None, "y", r"data\.file=\S*/hause\.csv: does not exist \(did you mean house\.csv\?\)"),
    "folder": (".", None, "y", r"is a folder; name a file in it, such as \S*house\.csv"),
    "empty": ("t.csv", b"", "y", "is empty"),
    "blank": ("t.csv", b"\n\n\n", "y", "is empty"),
    "header only": ("t.csv", b"a,b,y\n", "y", "has a header but no rows"),
    "one column": ("t.csv", b"y\n1\n2\n", "x", r"data\.target=x: there is no such column; there are y"),
    "one row": ("t.csv", b"a,y\n1,2\n", "y", r"y: is 2 in every row that has one; there is nothing to predict"),
    "typo": (
        "t.csv",
        GOOD.replace("y", "price"),
        "pric",
        r"data\.target=pric: there is no such column \(did you mean pr",
    ),
    "case": ("t.csv", GOOD.replace("y", "Price"), "price", r"\(did you mean Price\?\); there are a, b, Price"),
    "constant target": ("t.csv", "a,y\n1,3\n2,3\n", "y", "is 3 in every row that has one"),
    "no target value": ("t.csv", "a,y\n1,NA\n2,\n", "y", "has no value in any row; there is nothing to predict"),
    "names as target": (
        "t.csv",
        "a,y\n" + "".join(f"{i},n{i}x\n" for i in range(60)),
        "y",
        "60 different values in 60 rows .* are no classes",
    ),
    "two names": ("t.csv", "a,b,a\n1,2,3\n", "b", "several columns are called a; each needs a name of its own"),
    "ragged": ("t.csv", "a,y\n1,2\n3,4,5\n", "y", "line 3 has 3 cells, and the header 2; a cell that holds ',' must"),
    "quote": ("t.csv", 'a,y\n1,"2\n3,4\n', "y", "cannot be read as a table|is 2|nothing to predict|no rows|no such"),
    "binary": ("t.csv", b"\x00\x01\x02" * 100, "y", "is a binary file, not text"),
    "png": ("t.csv", b"\x89PNG\r\n\x1a\n", "y", "is an image, not text"),
    "pdf": ("t.csv", b"%PDF-1.4 ...", "y", "is a PDF, not text"),
    "zip": ("t.csv", b"PK\x03\x04abc", "y", "is a zip or Excel file, not text"),
    "html": ("t.csv", b"<!DOCTYPE html><html>", "y", "is not a table: it begins with '<!DOCTYPE html><html'"),
    "json": ("t.csv", b'{"a": [1, 2]}', "y", "is not a table: it begins with"),
    "no header": ("t.csv", b"1,2,3\n4,5,6\n", "y", r"its first line holds numbers \(1, 2, 3, \.\.\.\), not names"),
    "gzip": ("t.csv.gz", b"\x1f\x8b\x08broken", "y", "cannot be read as a table"),
    "cut gzip": ("t.csv.gz", gzip.compress(GOOD.encode(), mtime=0)[:40], "y", "cannot be read as a table"),
    "not parquet": ("t.parquet", b"hello", "y", "cannot be read as parquet"),
    "cut parquet": ("t.parquet", b"PAR1abcdefgPAR", "y", "cannot be read as parquet"),
    "not excel": ("t.xlsx", b"hello", "y", r"cannot be read as an Excel file|needs? the extra"),
    "suffix": ("t.json", b"{}", "y", "its name ends in .json, and tables are CSV, TSV"),
    "no suffix": ("table", GOOD, "y", "its name ends in nothing, and tables are CSV, TSV"),
    "comma": ("t.csv", 'a,"area, m²",b\n1,2,3\n', "y", r'there are a, "area, m²", b$'),
    "control": ("t.csv", "a,\x1b[31mb\n1,2\n", "y", r"there are a, \\x1b\[31mb"),
    "no target": ("t.csv", GOOD, None, r"data\.target=: name the column to predict: a, b, y"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_is_told_in_a_line(tmp_path, kind):
    name, content, target, words = BROKEN[kind]
    (tmp_path / "house.csv").write_text(GOOD)
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RequestError, match=words) as error:
        suggest_task({"file": str(path), "target": target})
        read_table(str(path))  # all columns
    (line,) = str(error.value).splitlines()
    assert line.startswith("data.") and line.isprintable() and len(line) < 320


def test_all_mistakes_are_told_at_once():
    settings = {"target": "pric", "drop": ["x", "a"], "columns": {"zip": "category"}, "group": "b", "time": "t"}
    with pytest.raises(RequestError) as error:
        check_columns(settings | {"folds": 5}, ["a", "b", "price", "zip_code", "t"])
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == [
        "data.target=pric", "data.drop=x", "data.columns.zip", "data.group=b and data.time=t", "data.folds=5",
    ]  # fmt: skip
    with pytest.raises(RequestError) as error:
        suggest_task({})
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == ["data.file=", "data.target="]


def test_spellings_of_a_missing_value_are_a_list(tmp_path):
    (tmp_path / "a.csv").write_text(GOOD)
    with pytest.raises(
        RequestError, match=r"^data\.missing=-999: must be a list of texts or numbers, such as \[-999\]$"
    ):
        suggest_task({"file": str(tmp_path / "a.csv"), "target": "y", "missing": -999})
