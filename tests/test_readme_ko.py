"""README.ko.md shows what README.md shows, and its map of the five documents is complete and works."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SEEDS = ROOT.parent / "shared" / "seeds"
ENGLISH, KOREAN = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md"))
MAP = KOREAN.partition("\n## 다섯 문서의 지도\n")[2]
CHAPTERS = {part[:3]: part for part in MAP.split("\n### ")[1:]}  # by the document's number
ROWS = {  # section, command, result and code of each row, below the heads of the columns
    number: [[cell.strip() for cell in line.split("|")[1:-1]] for line in re.findall(r"^\| .*", part, re.MULTILINE)[1:]]
    for number, part in CHAPTERS.items()
}
COMMANDS = sorted({each for rows in ROWS.values() for row in rows for each in re.findall(r"`(\w+\.py [^`]*)`", row[1])})


def code(page):
    """The blocks of code by language, without comments, which each page has in its own language."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    return [(language, re.sub(r" *# .*", "", text)) for language, text in blocks]


def sections(document):
    """Its headings below the title."""
    return re.findall(r"^##+ (.*)", document, flags=re.MULTILINE)


def test_both_pages_show_the_same_commands_and_code_and_link_to_each_other():
    assert code(KOREAN) == code(ENGLISH)
    assert "](README.ko.md)" in ENGLISH.partition("```")[0] and "](README.md)" in KOREAN.partition("```")[0]


def test_links_lead_somewhere():
    for name, anchor in re.findall(r"\]\(([^)#:]*)#?([^)]*)\)", KOREAN):
        page = (ROOT / (name or "README.ko.md")).read_text(encoding="utf-8")
        slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in sections(page)]
        assert not anchor or anchor in slugs, f"{name}#{anchor}"


def test_every_row_of_the_map_has_a_command_or_a_page_and_code_that_is_there():
    assert list(ROWS) == ["000", "001", "002", "003", "004"]
    for section, command, _, files in (row for rows in ROWS.values() for row in rows):
        assert "`" in command or "TOUR.md" in command, section
        assert all((ROOT / "src/litlab" / name).is_file() for name in re.findall(r"`([^`]*)`", files)), section
        assert files or "TOUR.md" in command, section


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the documents are not part of the repository")
@pytest.mark.parametrize(("number", "count"), [("000", 21), ("001", 24), ("002", 9), ("003", 6), ("004", 3)])
def test_the_map_has_every_section_of_a_document_in_its_order(number, count):
    (file,) = SEEDS.glob(f"{number}_*.txt")
    headings = sections(file.read_text(encoding="utf-8"))
    titles = [row[0].rpartition(" · ")[0] for row in ROWS[number]]
    assert len(headings) == count and all(titles)
    following = iter(titles)  # between the sections there may be rows for their parts
    assert [each for each in headings if not any(each.strip().startswith(title) for title in following)] == []


def test_commands_of_the_map_are_programs_and_choices():
    for program, *words in map(shlex.split, COMMANDS):
        assert (ROOT / "scripts" / program).is_file()
        for group, _, choice in (word.partition("=") for word in words):
            assert not (ROOT / "conf" / group).is_dir() or (ROOT / "conf" / group / f"{choice}.yaml").is_file(), choice
    assert len(COMMANDS) > 35


@pytest.mark.slow
def test_commands_of_the_map_compose():
    from litlab.config.composition import compose

    own = ("run=", "split=", "input=", "--help")  # words of the program, not of the config
    for program, *words in map(shlex.split, COMMANDS):
        name = "describe" if program == "describe.py" else "train"
        assert compose(name, [word for word in words if not word.startswith(own)])
