"""A sweep in TensorBoard: read by TensorBoard's own code, and seen in a browser."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from chromium import MISSING, chromium, server
from hparams_page import read_page

ROOT = Path(__file__).resolve().parents[1]
SCREENSHOT = ROOT / "logs" / "ci" / "hparams.png"  # tests/pictures/hparams.png, which the README shows, is such a one
SETTINGS = ["data.batch_size", "optimizer.lr"]
METRICS = ["best/val/accuracy", "test/accuracy"]
# The texts of the table's cells, row by row; the header is the first. The page is made of web components, each with a
# document of its own; the grid's rows have slots for what stands outside of it.
TABLE = """
const find = (node, name) => [...node.querySelectorAll('*')].flatMap(
    each => [...(each.matches(name) ? [each] : []), ...(each.shadowRoot ? find(each.shadowRoot, name) : [])]);
const rows = find(document, 'vaadin-grid').flatMap(grid => [...grid.shadowRoot.querySelectorAll('tr')]);
const text = slot => slot.assignedElements().map(cell => cell.textContent.trim()).join(' ');
return rows.map(row => [...row.querySelectorAll('slot')].map(text)).filter(row => row[0]);
"""
# The titles of the custom scalars' charts.
CHARTS = (
    TABLE.split("const rows")[0]
    + """
return find(document, 'tf-card-heading').map(
    each => each.shadowRoot.querySelector('.heading-label').textContent.trim());
"""
)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """The folder of a sweep of 9 jobs, each of one epoch."""
    logs = tmp_path_factory.mktemp("logs")
    grid = ["optimizer.lr=0.01,0.03,0.1", "data.batch_size=32,64,128"]
    fixed = ["data=digits", "model=mlp", "trainer=cpu", "trainer.max_epochs=1", "threads=1", f"paths.log_dir={logs}"]
    command = [sys.executable, "scripts/train.py", "-m", *fixed, *grid]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=600)
    (folder,) = (logs / "train" / "multiruns").iterdir()
    return folder


@pytest.fixture
def results(sweep):
    """What each job recorded, by the name of its folder."""
    files = sorted(sweep.glob("*/result.json"))
    return {file.parent.name: json.loads(file.read_text(encoding="utf-8")) for file in files}


@pytest.mark.slow
def test_a_row_for_each_job_with_the_numbers_of_its_result(sweep, results):
    page = read_page(sweep)
    assert page.settings == dict.fromkeys(SETTINGS, "DATA_TYPE_FLOAT64")
    assert page.metrics[:2] == METRICS and all(name.startswith("test/") for name in page.metrics[1:])
    assert page.rows.keys() == {f"{name}/tensorboard" for name in results} and len(results) == 9
    assert page.last_steps.keys() == page.rows.keys()
    chosen = set()
    for name, result in results.items():
        row, ends = page.rows[f"{name}/tensorboard"], page.last_steps[f"{name}/tensorboard"]
        lr, size = row.chosen["optimizer.lr"], row.chosen["data.batch_size"]
        chosen.add((lr, size))
        assert {f"optimizer.lr={lr}", f"data.batch_size={size:.0f}"} <= set(result["overrides"])
        assert f"lr={lr}" in name and f"batch_size={size:.0f}" in name
        tested = {key: value for key, value in result["metrics"].items() if key.startswith("test/")}
        assert row.metrics == pytest.approx({METRICS[0]: result["monitor"]["best"], **tested}, rel=1e-6)
        assert (row.status, row.runs) == ("STATUS_SUCCESS", 1)
        assert {ends[tag] for tag in ("val/accuracy", "train/loss", *METRICS)} == {result["steps"]}
    assert chosen == {(lr, size) for lr in (0.01, 0.03, 0.1) for size in (32, 64, 128)}


@pytest.mark.browser
@pytest.mark.skipif(bool(MISSING), reason=f"no {' and no '.join(MISSING)} (Debian: chromium, chromium-driver)")
def test_the_page_shows_the_table(sweep, results, tmp_path):
    board = [sys.executable, "-m", "tensorboard.main", "--logdir", str(sweep), "--host=127.0.0.1", "--port={port}"]
    with server(board, "data/environment") as address, chromium(tmp_path / "profile", 1300, 720) as browser:
        browser.open(f"{address}/#hparams")
        header, rows = table(browser)
        browser.save_screenshot(SCREENSHOT)
    assert header[2:6] == [*SETTINGS, *METRICS]
    cells = {(float(row[2]), float(row[3])): (float(row[4]), float(row[5])) for row in rows}
    assert len(rows) == 9
    for result in results.values():
        typed = dict(override.split("=", 1) for override in result["overrides"])
        numbers = cells[float(typed["data.batch_size"]), float(typed["optimizer.lr"])]
        expected = (result["monitor"]["best"], result["metrics"]["test/accuracy"])
        assert numbers == pytest.approx(expected, rel=1e-4)  # the page shows five digits
    assert SCREENSHOT.stat().st_size > 10_000


@pytest.mark.browser
@pytest.mark.skipif(bool(MISSING), reason=f"no {' and no '.join(MISSING)} (Debian: chromium, chromium-driver)")
def test_a_run_has_its_charts_without_any_setting(tmp_path):
    words = [
        "data=digits",
        "model=mlp",
        "trainer=cpu",
        "trainer.max_epochs=2",
        "threads=1",
        f"paths.log_dir={tmp_path}",
    ]
    command = [sys.executable, "scripts/train.py", *words]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=600)
    board = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path), "--host=127.0.0.1", "--port={port}"]
    with server(board, "data/environment") as address, chromium(tmp_path / "profile", 1300, 1400) as browser:
        browser.open(f"{address}/#custom_scalars")
        titles = shown(browser, CHARTS, 7)
    names = ["loss", "accuracy", "auroc", "calibration_error", "f1", "precision", "recall"]
    assert titles[:7] == names


def table(browser):
    """The header and the rows of the HParams table."""
    found = shown(browser, TABLE, 10)
    return found[0], found[1:]


def shown(browser, script, count, seconds=60):
    """What the script finds on the page, as soon as it is so many."""
    found = []
    for number in range(int(seconds * 2)):
        found = browser.run(script)
        if len(found) >= count:
            return found
        time.sleep(0.5)
        if number % 20 == 19:  # the page does not ask again for runs that the server had not read yet
            browser.run("location.reload()")
    raise AssertionError(f"not {count} after {seconds} seconds: {found}")
