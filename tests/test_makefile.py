"""The Makefile by dry run (make -n) and with fake tools; the pinned versions against pyproject.toml."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
MAKE = shutil.which("make")
UV_INSTALL = (
    "uv pip install --quiet --python .venv/bin/python --compile-bytecode -c constraints.txt {options}-e '.[{extras}]'"
)
PIP_INSTALL = (
    ".venv/bin/python -m pip install -qq --disable-pip-version-check --compile -c constraints.txt "
    "{options}-e '.[{extras}]'"
)

pytestmark = pytest.mark.skipif(MAKE is None, reason="needs make")


@pytest.fixture
def clone(tmp_path):
    """A folder with what a set-up reads, and an empty `bin` to put on PATH: nothing is set up yet."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cat").symlink_to(shutil.which("cat"))  # to read what was installed
    return tmp_path


def tool(clone, name, script="exit 0"):
    path = clone / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def make(clone, *words, path=""):
    """Run make with clone/bin as the PATH, and nothing of the make or the user that runs these tests."""
    environment = {"PATH": f"{clone / 'bin'}:{path}".rstrip(":"), "HOME": str(clone), "LC_ALL": "C"}
    return subprocess.run(
        [MAKE, *words], cwd=clone, env=environment, text=True, capture_output=True, timeout=30, check=False
    )


def dry(clone, *words):
    """The lines that make would run, with their runs of blanks made one."""
    done = make(clone, "-n", *words)
    assert done.returncode == 0, done.stderr
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def test_train_runs_the_main_job(clone):
    assert dry(clone, "train")[-1] == ".venv/bin/python scripts/train.py data=fashion model=mlp"


def test_train_takes_the_given_arguments_instead(clone):
    lines = dry(clone, "train", "ARGS=data=mnist model=mlp trainer.max_epochs=3")
    assert lines[-1] == ".venv/bin/python scripts/train.py data=mnist model=mlp trainer.max_epochs=3"


def test_test_runs_pytest(clone):
    assert dry(clone, "test")[-1] == ".venv/bin/pytest"
    assert dry(clone, "test", "ARGS=-m slow")[-1] == ".venv/bin/pytest -m slow"


def test_lint_runs_the_four_checks(clone):
    assert dry(clone, "lint")[-4:] == [
        ".venv/bin/ruff check",
        ".venv/bin/ruff format --check",
        ".venv/bin/mypy",
        ".venv/bin/lint-imports",
    ]


def test_every_target_has_the_same_set_up(clone):
    train, test = dry(clone, "train")[:-1], dry(clone, "test")[:-1]
    assert train == test == dry(clone, "setup")[: len(train)]
    assert train[-1] == "echo '' > .venv/.litlab-ready"


def test_nothing_is_installed_when_the_set_up_is_newer(clone):
    (clone / ".venv").mkdir()
    (clone / ".venv" / ".litlab-ready").touch()
    assert dry(clone, "test") == [".venv/bin/pytest"]
    new = (clone / ".venv" / ".litlab-ready").stat().st_mtime + 10
    os.utime(clone / "constraints.txt", (new, new))
    assert PIP_INSTALL.format(options="", extras="dev") in dry(clone, "test")


def test_pip_installs_where_there_is_no_uv(clone):
    assert PIP_INSTALL.format(options="", extras="dev") in dry(clone, "setup")
    lines = dry(clone, "setup", "TORCH_BACKEND=cpu", "TORCH_INDEX=ADDRESS")
    assert PIP_INSTALL.format(options="--extra-index-url ADDRESS ", extras="dev") in lines


def test_uv_installs_where_it_is_on_the_path(clone):
    tool(clone, "uv")
    assert UV_INSTALL.format(options="", extras="dev") in dry(clone, "setup")
    assert UV_INSTALL.format(options="--torch-backend cpu ", extras="dev") in dry(clone, "setup", "TORCH_BACKEND=cpu")
    options = "--extra-index-url ADDRESS --index-strategy unsafe-best-match "
    assert UV_INSTALL.format(options=options, extras="dev") in dry(clone, "setup", "TORCH_INDEX=ADDRESS")


def test_extras_are_installed_once_and_stay(clone):
    assert PIP_INSTALL.format(options="", extras="dev,joblib,ray") in dry(clone, "setup", "EXTRAS=ray,joblib")
    (clone / ".venv").mkdir()
    stamp = clone / ".venv" / ".litlab-ready"
    stamp.write_text("joblib ray\n")
    assert dry(clone, "test") == dry(clone, "test", "EXTRAS=ray") == [".venv/bin/pytest"]
    assert PIP_INSTALL.format(options="", extras="dev,joblib,optuna,ray") in dry(clone, "test", "EXTRAS=optuna")
    new = stamp.stat().st_mtime + 10
    os.utime(clone / "constraints.txt", (new, new))
    lines = dry(clone, "test")
    assert PIP_INSTALL.format(options="", extras="dev,joblib,ray") in lines
    assert "echo 'joblib ray' > .venv/.litlab-ready" in lines


def test_an_extra_that_there_is_not_is_told(clone):
    done = make(clone, "setup", "EXTRAS=joblib,dask", path="/usr/bin:/bin")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == ("EXTRAS: there is no dask; choose from joblib, submitit, ray, optuna, all")
    assert not (clone / ".venv").exists()


def test_the_cpu_build_by_pip_asks_for_its_index(clone):
    done = make(clone, "setup", "TORCH_BACKEND=cpu")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        "TORCH_BACKEND=cpu needs uv, or for pip TORCH_INDEX=ADDRESS, the wheel index shown on PyTorch's install page"
    )


def test_an_old_python_is_named(clone):
    tool(clone, "python3", 'case "$2" in *version_info*) exit 1;; *) echo 3.9.2;; esac')
    done = make(clone, "train")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        "litlab needs Python 3.11 or newer, python3 is 3.9.2, python3.13 is missing, python3.12 is missing, "
        "python3.11 is missing; name one: make setup PYTHON=/path/to/python3.11"
    )
    assert not (clone / ".venv").exists()


def test_a_newer_python_beside_an_old_one_is_taken(clone):
    tool(clone, "python3", "exit 1")
    tool(clone, "python3.12", 'case "$*" in "-m venv .venv") echo made by 3.12; exit 1;; esac')
    done = make(clone, "setup", path="/usr/bin:/bin")
    assert "made by 3.12" in done.stdout


def test_a_python_without_venv_is_told_how_to_get_it(clone):
    tool(clone, "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    done = make(clone, "setup")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        "python3 has no venv module: install it (Debian, Ubuntu: package python3-venv), or install uv"
    )


def test_a_set_up_that_fails_leaves_no_stamp_and_is_done_again(clone):
    tool(clone, "python3")
    made = "mkdir -p .venv/bin; printf '#!/bin/sh\\n' > .venv/bin/python; chmod +x .venv/bin/python"
    fake_uv = f'case "$1" in venv) {made};; pip) echo "$@" >> calls; [ ! -e broken ];; esac'
    tool(clone, "uv", fake_uv)
    stamp = clone / ".venv" / ".litlab-ready"
    system = "/usr/bin:/bin"
    (clone / "broken").touch()
    assert make(clone, "setup", path=system).returncode == 2
    assert not stamp.exists()
    (clone / "broken").unlink()
    done = make(clone, "setup", path=system)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("Setting up .venv with uv, once: PyTorch is large, this takes a few minutes ...\n")
    assert stamp.exists()
    assert len((clone / "calls").read_text().splitlines()) == 2
    assert make(clone, "setup", path=system).stdout == ""
    assert len((clone / "calls").read_text().splitlines()) == 2


def test_make_alone_lists_the_targets(clone):
    done = make(clone, path="/usr/bin:/bin")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "usage: make TARGET [ARGS=...]"
    targets = [line.split()[0] for line in done.stdout.splitlines()[1:]]
    assert targets == ["help", "setup", "train", "test", "lint", "format", "clean"]
    assert all(len(line.split()) > 3 for line in done.stdout.splitlines()[1:])


def pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_constraints_are_exact_versions_and_nothing_else():
    assert "://" not in (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert [line for line in pins() if not re.fullmatch(r"[\w.-]+==[0-9][0-9a-z.]*", line)] == []
    names = [canonicalize_name(line.split("==")[0]) for line in pins()]
    assert len(names) == len(set(names)) >= 12


def test_every_requirement_is_pinned_within_its_bounds():
    versions = {canonicalize_name(name): version for name, version in (line.split("==") for line in pins())}
    extras = project()["optional-dependencies"]
    assert extras.pop("all") == [f"litlab[{','.join(name for name in extras if name != 'dev')}]"]
    wanted = project()["dependencies"] + [requirement for extra in extras.values() for requirement in extra]
    assert len(wanted) >= 20
    for requirement in map(Requirement, wanted):
        assert requirement.name in versions, f"{requirement.name} is not in constraints.txt"
        assert Version(versions[requirement.name]) in requirement.specifier, str(requirement)


def test_bounds_that_are_there_for_a_reason():
    bounds = {requirement.name: requirement.specifier for requirement in map(Requirement, project()["dependencies"])}
    assert not bounds["hydra-core"].contains("1.4.0rc1", prereleases=True)
    assert not bounds["omegaconf"].contains("2.4.0.dev3", prereleases=True)
    assert project()["requires-python"] == ">=3.11"
