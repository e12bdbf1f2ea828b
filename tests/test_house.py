"""The house of the design: its floors, and what `import litlab` costs. (What is new needs: tests/test_readme.py.)"""

import ast
import os
import subprocess
import sys
from pathlib import Path


def test_imports_point_down_only(root, tmp_path):
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_importing_the_upper_floors_imports_no_torch():
    floors = "litlab, litlab.cli, litlab.notebook, litlab.config.checks, litlab.config.choices, litlab.runs.report"
    code = f"import sys, {floors}; print(*({{'torch', 'lightning', 'torchmetrics', 'sklearn'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_no_module_has_a_name_that_says_nothing(root):
    names = {path.stem for path in (root / "src").rglob("*.py")} | {path.name for path in (root / "src").rglob("*")}
    assert not names & {"utils", "util", "helpers", "helper", "misc", "common"}


# Of the standard library, and Hydra.
PUBLIC = {"_asdict", "_replace", "_fields", "_exit", "_target_", "_partial_", "_args_"}
NOT_YET = {"build.py", "distributed/devices.py", "distributed/launcher.py"}


def is_private(name):
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def foreign(tree, own):
    """Private names of others in a module: imported, read of an object, or of `self` where our classes lack them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [*str(node.module).split("."), *(each.name for each in node.names)]
        elif isinstance(node, ast.Import):
            names = [part for each in node.names for part in each.name.split(".")]
        elif isinstance(node, ast.Attribute):
            of_self = ast.unparse(node.value) in ("self", "cls", "super()")
            names = [] if of_self and node.attr in own else [node.attr]
        else:
            continue
        yield from (f"line {node.lineno}: {name}" for name in names if is_private(name))


def test_others_private_names_are_used_in_compat_alone(root):
    """So that an upgrade breaks a function of litlab.compat, and the test of it (tests/compat) says which."""
    src = root / "src" / "litlab"
    trees = {path.relative_to(src).as_posix(): ast.parse(path.read_text("utf-8")) for path in src.rglob("*.py")}
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    own |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    found = {name: list(foreign(tree, own)) for name, tree in trees.items() if not name.startswith("compat/")}
    assert {name: lines for name, lines in found.items() if lines and name not in NOT_YET} == {}
