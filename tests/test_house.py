"""The house of the design: its floors, and what `import litlab` costs. (What is new needs: tests/test_readme.py.)"""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_imports_point_down_only(root, tmp_path):
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    "module",
    [
        "litlab",
        "litlab.cli",
        "litlab.config.checks",
        "litlab.runs.result",
        "litlab.config.choices",
        "litlab.runs.report",
    ],
)
def test_importing_the_upper_floors_imports_no_torch(module):
    code = f"import sys, {module}; print(*({{'torch', 'lightning', 'torchmetrics', 'sklearn'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_no_module_has_a_name_that_says_nothing(root):
    names = {path.stem for path in (root / "src").rglob("*.py")} | {path.name for path in (root / "src").rglob("*")}
    assert not names & {"utils", "util", "helpers", "helper", "misc", "common"}
