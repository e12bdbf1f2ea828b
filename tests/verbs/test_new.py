"""What `make new` writes passes its own test and the house's checks; what it refuses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from litlab.errors import RequestError
from litlab.verbs.new import new

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["", "My", "2d", "my-model", "a.b", "../x", "class", "null", "none", "a b"])
def test_a_name_that_is_none(tmp_path, name):
    with pytest.raises(RequestError, match=r"^NAME=.*: must name a module: lower-case letters, digits and _, such as"):
        new("model", name, tmp_path)
    assert not any(tmp_path.iterdir())


def test_nothing_is_overwritten():
    with pytest.raises(RequestError, match=r"^NAME=mlp: there is src/litlab/models/mlp.py, conf/model/mlp.yaml, "):
        new("model", "mlp")


@pytest.mark.slow
def test_what_it_writes_passes_its_test_and_the_checks_and_trains(tmp_path):
    for name in ("conf", "scripts", "src", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src")}

    def run(tool, *words):
        command = [Path(sys.executable).with_name(tool), *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    python = Path(sys.executable).name
    files = run(python, "scripts/new.py", "model", "my_net").split()
    files += run(python, "scripts/new.py", "data", "my_points").split()
    assert files[0] == "src/litlab/models/my_net.py" and len(files) == 6
    code, tests = ([file for file in files if file.endswith(".py") and file.startswith(at)] for at in ("src", "tests"))
    run("ruff", "check", *code, *tests)
    run("ruff", "format", "--check", *code, *tests)
    run("mypy", "--follow-imports=skip", "--ignore-missing-imports", *code)  # all that they import takes a minute
    assert "3 passed" in run(python, "-m", "pytest", "-n", "0", "-q", *tests)
    words = ("data=my_points", "model=my_net", "trainer.max_epochs=1", "threads=1", "logger=none")
    assert "parameters               322" in run(python, "scripts/train.py", *words)
