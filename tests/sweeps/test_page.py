"""summary.html: its tables, charts and sentences are those of the leaderboard; names in it are inert; no network."""

import json
import re
from html.parser import HTMLParser

import pytest
from chromium import MISSING, chromium
from sweep_results import by_rate, failed, job, rank, save

from litlab.sweeps.leaderboard import read_and_rank
from litlab.sweeps.page import as_html
from litlab.sweeps.summary import summarize

LR, BATCH = "optimizer.lr", "data.batch_size"
HOSTILE = (
    "</script><script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">'\"{{7*7}}\u202e\x1b"
)

NAME = HOSTILE.replace(".", "")  # of a setting


@pytest.fixture(autouse=True)
def short(request, monkeypatch):
    """Without plotly's script, which takes long to read."""
    if "browser" not in request.keywords:
        monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "var Plotly;")


class Page(HTMLParser):
    """Tags with attributes, the tables' texts, and the data of the charts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.tables, self.scripts, self.words = [], [], [], []
        self.feed(text)
        self.charts = [json.loads(script) for script in self.scripts if script.startswith('{"figure"')]

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        inside = self.tags[-1][0] if self.tags else ""
        if inside == "script":
            self.scripts[-1] += data
        elif inside in ("td", "th", "a", "button") and self.tables:
            self.tables[-1][-1][-1] += data.strip()
        self.words.append(data)

    def tagged(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def with_histories(folder):
    for number, path in enumerate(sorted(folder.iterdir())):
        (path / "history.csv").write_text(f"epoch,val/accuracy\n1,0.{number + 1}\n2,0.{number + 2}")
    return folder


@pytest.mark.slow
def test_the_tables_are_the_leaderboard_and_its_jobs(tmp_path):
    jobs = [*by_rate({0.1: [0.9, 0.92, 0.91], 0.2: [0.8, 0.82, 0.81]}), failed({LR: 1.0}, "RunError: diverged")]
    page = Page(as_html(read_and_rank([save(tmp_path, jobs)]), tmp_path))
    board, all_jobs = page.tables
    assert board[0] == ["rank", "lr", "val/accuracy", "95% interval", "test/accuracy", "n", "train s", "status"]
    assert board[1] == ["1", "0.1", "0.910 ± 0.010", "0.885 to 0.935", "0.800 ± 0.000", "3", "4.0", "completed"]
    assert board[3] == ["", "1", "-", "-", "-", "0", "-", "failed: RunError: diverged"]
    assert (
        len(all_jobs) == 8
        and all_jobs[0][:3] == ["job", "seed", "lr"]
        and all_jobs[1][:4] == ["0", "0", "0.1", "0.9000"]
    )
    kinds = [attrs["class"].split() for attrs in page.tagged("tr")[1:4]]
    assert kinds == [["ranked", "first"], ["ranked"], ["failed", "last"]]
    assert {attrs["href"] for attrs in page.tagged("a")} == {f"./{number}/" for number in range(7)}
    assert {"data-number": "0.1"} in page.tagged("td"), "by which it is sorted"
    text = "".join(page.words)
    assert "The first row beats the second by 0.1 (the same in all runs, paired over 3 seeds)." in text


@pytest.mark.slow
def test_jobs_that_are_rows_have_one_table_and_few_seeds_prove_nothing(tmp_path):
    page = Page(as_html(read_and_rank([save(tmp_path, by_rate({0.1: 0.9, 0.2: 0.8}))]), tmp_path))
    (board,) = page.tables
    assert board[0] == ["rank", "lr", "val/accuracy", "test/accuracy", "n", "train s", "job", "status"]
    few = (
        "The first row against the second: too few runs to tell whether the difference is chance: train 3 seeds of each"
    )
    assert few in "".join(page.words)
    (alone,) = (tmp_path / "alone",)
    assert "too few" not in as_html(read_and_rank([save(alone, by_rate({0.1: 0.9}))]), alone), "there is no second"


@pytest.mark.slow
def test_the_charts_have_each_row_and_job(tmp_path):
    grid = [
        job({LR: lr, BATCH: batch}, lr + batch / 1e3 + (s - 0.5) / 1e5, seed=s)
        for lr in (0.1, 0.2, 0.3)
        for batch in (1, 2, 3)
        for s in (0, 1)
    ]
    folder = with_histories(save(tmp_path, grid))
    (folder / "multirun.yaml").write_text("hydra: {overrides: {task: ['optimizer.lr=0.1,0.2,0.3', 'seed=0,1']}}")
    page = Page(as_html(read_and_rank([folder]), folder))
    parallel, curves, certain, matter = page.charts
    assert len(parallel["texts"]) == 9 and parallel["texts"][0].startswith(
        "<b>lr=0.3, batch_size=3</b><br>val/accuracy 0.3030"
    )
    drawn = {number for trace in curves["figure"]["data"] for number in trace["customdata"]}
    assert drawn == set(range(18)) and "lr=0.3, batch_size=3, seed=1</b><br>job 17, completed" in curves["texts"][1]
    assert len(certain["texts"]) == 9 and len(certain["figure"]["data"]) == 2
    assert matter["figure"]["layout"]["yaxis"]["ticktext"] == ["lr", "batch_size"]
    assert "python scripts/train.py -m optimizer.lr=0.1,0.2,0.3 seed=0,1" in page.words


@pytest.mark.slow
def test_equal_runs_have_no_interval(tmp_path):
    jobs = by_rate({0.1: [1.0, 1.0, 1.0], 0.2: [0.8, 0.82, 0.81]})
    page = Page(as_html(read_and_rank([save(tmp_path, jobs)]), tmp_path))
    assert [row[3] for row in page.tables[0]] == ["95% interval", "-", "0.785 to 0.835"]
    (certain,) = [chart for chart in page.charts if len(chart["texts"]) == 2 and len(chart["figure"]["data"]) == 2]
    bars = certain["figure"]["data"][1]["error_x"]
    assert bars["array"] == [None, pytest.approx(0.0248, abs=1e-4)]
    alone = Page(as_html(rank(by_rate({0.1: [1.0, 1.0], 0.2: [0.8, 0.8]}))))
    assert not any("error_x" in trace for chart in alone.charts for trace in chart["figure"]["data"])


@pytest.mark.slow
def test_several_metrics_have_a_winner_and_charts_each():
    page = Page(as_html(rank([*by_rate({1: 1, 2: 2}), *by_rate({3: 3, 4: 4}, metric="val/rmse", mode="min")])))
    assert len(page.charts) == 2 and page.tables[0][0][2:5] == ["metric", "validation", "test"]
    assert "The best by val/accuracy" in page.words and "The best by val/rmse" in page.words


@pytest.mark.slow
def test_what_did_not_complete_is_last_and_marked_as_what_it_is():
    pruned = job({LR: 0.3}, status="pruned", metrics={"val/accuracy": 0.7})
    jobs = [*by_rate({0.1: 0.5, 0.2: [0.9, 0.8]}), failed({LR: 0.2}, seed=2), pruned]
    page = Page(as_html(rank([*jobs, failed({LR: 0.4}, status="died")])))
    board, of_jobs = page.tables
    kinds = [attrs.get("class") for attrs in page.tagged("tr")]
    assert kinds[1:3] == ["ranked first", "partial last"] and kinds[3:5] != ["ranked", "ranked"]
    (parallel,) = page.charts
    drawn = {number for trace in parallel["figure"]["data"] if 1 in trace["x"] for number in trace["customdata"]}
    assert len(drawn) == 3, "the failed one has no value, the pruned and the partial one have"
    assert any("; dotted: did not complete." in word for word in page.words)
    assert board[1][:3] == ["1", "0.1", "0.500"] and board[2][:2] == ["", "0.2"], "survivors' means are not ranked"
    marked = {line[2]: kind for line, kind in zip(of_jobs[1:], kinds[len(board) + 1 :], strict=True)}
    assert marked == {"0.1": "completed", "0.2": "failed last", "0.3": "pruned last", "0.4": "died last"}


@pytest.fixture
def hostile(tmp_path):
    """A sweep whose settings, errors, names of folders and request are hostile."""
    jobs = [job({LR: HOSTILE, f"data.{NAME}": n, BATCH: n}, 0.1 * n, metric=f"val/{HOSTILE}") for n in range(1, 9)]
    folder = with_histories(
        save(tmp_path / "sweep", [*jobs, failed({LR: HOSTILE}, HOSTILE), failed({LR: 3}, "\ud800")])
    )
    (folder / "8").rename(folder / f"javascript:{HOSTILE.replace('/', '')}")
    (folder / "multirun.yaml").write_text(json.dumps({"hydra": {"overrides": {"task": [HOSTILE, "${oc.env:HOME}"]}}}))
    for path in folder.glob("*/history.csv"):
        path.write_text(path.read_text().replace("val/accuracy", '"val/' + HOSTILE.replace('"', '""') + '"'))
    return folder


@pytest.mark.slow
def test_hostile_names_are_inert_and_nothing_is_loaded(hostile):
    text = as_html(read_and_rank([hostile]), hostile)
    page = Page(text)
    assert {tag for tag, _ in page.tags} <= {
        *(
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "main",
            "header",
            "h1",
            "h2",
            "p",
            "pre",
            "code",
            "section",
        ),
        *(
            "ul",
            "li",
            "dl",
            "dt",
            "dd",
            "div",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "a",
            "button",
            "script",
            "footer",
        ),
    }
    assert not any(name.startswith("on") or name in ("src", "style") for _, attrs in page.tags for name in attrs)
    assert all(attrs["href"].startswith("./") and "<" not in attrs["href"] for attrs in page.tagged("a"))
    assert len(page.scripts) == 2 + len(page.charts) and len(page.charts) >= 2
    for chart in page.charts:
        shown = json.dumps(chart, ensure_ascii=False)
        assert not re.search(r"<(?!/?(b|br|sup|extra)>)", shown) and "&lt;script" in shown and "\u202e" not in shown
    assert "49" not in page.words and "${oc.env:HOME}" in text and not set(text) & {"\x1b", "\u202e", "\ud800"}
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)
    policy = next(attrs["content"] for attrs in page.tagged("meta") if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe-inline'; img" in policy


@pytest.mark.slow
def test_the_page_is_written_at_the_end_alone(tmp_path):
    summarize([save(tmp_path, by_rate({0.1: 0.9}))], page=False)
    assert not (tmp_path / "summary.html").exists() and (tmp_path / "summary.md").exists()
    summarize([tmp_path])
    assert (tmp_path / "summary.html").read_text(encoding="utf-8").startswith("<!doctype html>")


CELLS = "return [...document.querySelector('table').tBodies[0].rows].map(row => row.cells[arguments[0]].textContent)"


@pytest.mark.browser
@pytest.mark.skipif(bool(MISSING), reason=f"no {' and no '.join(MISSING)} (Debian: chromium, chromium-driver)")
def test_in_a_browser(tmp_path, hostile):
    """Sorted by a click and by a key; hovering names the job; hostile names do nothing."""
    rates = {0.5: 0.7, 0.1: 0.9, 10.0: 0.8, 2e-05: 0.6}
    folder = with_histories(save(tmp_path / "plain", [*by_rate(rates), failed({LR: 1.0}), job({LR: "auto"}, 0.65)]))
    with chromium(tmp_path / "profile", 1400, 1000) as browser:
        column = lambda number: browser.run(CELLS.replace("arguments[0]", str(number)))  # noqa: E731
        order = lambda: browser.run("return document.querySelectorAll('th')[1].getAttribute('aria-sort')")  # noqa: E731
        browser.open(page_of(folder))
        assert column(1) == ["0.1", "10", "0.5", "auto", "2e-05", "1"] and order() == "none"
        assert "0.9000" in browser.run("return document.querySelector('.winner').textContent")
        browser.run("document.querySelectorAll('th button')[1].click()")
        assert column(1) == ["2e-05", "0.1", "0.5", "10", "auto", "1"], "numbers as numbers; the failed row is the last"
        assert order() == "ascending" and column(0)[1] == "1"
        browser.run("document.querySelectorAll('th button')[1].focus()")
        browser.press("\ue007")  # Enter
        assert column(1) == ["10", "0.5", "0.1", "2e-05", "auto", "1"] and order() == "descending"
        browser.run("document.querySelectorAll('th button')[2].click()")
        assert column(2)[:2] == ["0.9000", "0.8000"], "of an accuracy the highest first"
        browser.run("Plotly.Fx.hover('chart-2', [{curveNumber: 0, pointNumber: 0}])")
        (text,) = browser.run(
            "return [...document.querySelectorAll('#chart-2 .hovertext')].map(each => each.textContent)"
        )
        assert text == "lr=1job 4, failedepoch 1: 0.5000"
        assert browser.run("return performance.getEntriesByType('resource').length") == 0
        title = browser.run("return document.title")
        browser.open(page_of(hostile))
        assert browser.run("return document.title") != "pwned" != title
        assert browser.run("return document.querySelectorAll('img, script').length") == 2 + browser.run(
            "return document.querySelectorAll('.chart').length"
        )
        assert browser.run("return document.querySelectorAll('.chart .main-svg').length") > 0


def page_of(folder):
    """The address of its page."""
    summarize([folder])
    return (folder / "summary.html").as_uri()
