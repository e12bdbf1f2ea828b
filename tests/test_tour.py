"""TOUR.md shows what Python prints."""

import doctest


def test_every_line_prints_what_the_page_shows(root):
    failed, tried = doctest.testfile(str(root / "TOUR.md"), module_relative=False, encoding="utf-8")
    assert failed == 0 and tried > 40
