"""What is told of a text file from its beginning."""

import gzip

import pytest

from litlab.data.reading.text_layout import ragged_line, text_layout


@pytest.mark.parametrize(
    ("content", "layout"),
    [
        (b"x,y\n1.5,a\n", ("utf-8-sig", ",", False, ("x", "y"))),
        (b"x;y\n1,5;a\n2,5;b\n", ("utf-8-sig", ";", True, ("x", "y"))),
        (b"x;y\n1.5;a\n2,5;b\n", ("utf-8-sig", ";", False, ("x", "y"))),
        (b"\n\nx\t \n1\t2\n", ("utf-8-sig", "\t", False, ("x", "column 1"))),
        ("ville,n\nOrl\u00e9ans,1\n".encode("cp1252"), ("cp1252", ",", False, ("ville", "n"))),
        ("도시,면적(㎡)\n서울,1\n".encode("cp949"), ("cp949", ",", False, ("도시", "면적(㎡)"))),
        ("x|y\n1|2\n".encode("utf-16"), ("utf-16", "|", False, ("x", "y"))),
        (gzip.compress(b"x\n1\n", mtime=0), ("utf-8-sig", ",", False, ("x",))),
    ],
)
def test_encoding_delimiter_decimal_sign_and_header(tmp_path, content, layout):
    (tmp_path / "a.csv").write_bytes(content)
    found = text_layout(tmp_path / "a.csv")
    assert (found.encoding, found.delimiter, found.decimal_comma, found.names) == layout


def test_the_line_that_does_not_fit_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("a;b\n" + "1;2\n" * 5 + "5;6;7\n")
    told = "line 7 has 3 cells, and the header 2; a cell that holds ';' must be in double quotes"
    assert ragged_line(tmp_path / "a.csv") == told
    (tmp_path / "a.csv").write_text('a;b\n1;"2;3"\n')
    assert ragged_line(tmp_path / "a.csv") == ""
