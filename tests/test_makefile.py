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


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["train"], ["python scripts/train.py data=fashion model=mlp"]),
        (
            ["train", "ARGS=data=mnist model=cnn"],
            ["python scripts/train.py data=mnist model=cnn"],
        ),
        (["dashboard"], ["tensorboard --host 127.0.0.1 --port 6006 --logdir logs"]),
        (["dashboard", "PORT=7000"], ["tensorboard --host 127.0.0.1 --port 7000 --logdir logs"]),
        (["test"], ["pytest"]),
        (["test", "ARGS=-m slow"], ["pytest -m slow"]),
        (["lint"], ["ruff check", "ruff format --check", "mypy", "lint-imports"]),
    ],
)
def test_what_a_target_runs(clone, words, lines):
    assert dry(clone, *words)[-len(lines) :] == [f".venv/bin/{line}" for line in lines]


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


OLD = 'case "$2" in *version_info*) exit 1;; *) echo 3.9.2;; esac'
NO_VENV = 'case "$2" in *ensurepip*) exit 1;; esac'


@pytest.mark.parametrize(
    ("words", "python", "told"),
    [
        (
            ["EXTRAS=joblib,dask"], None,
            "EXTRAS: there is no dask; choose from joblib, submitit, ray, optuna, export, excel, mlflow, wandb, all",
        ),
        (
            ["TORCH_BACKEND=cpu"], None,
            "TORCH_BACKEND=cpu needs uv, or for pip TORCH_INDEX=ADDRESS, the wheel index shown on PyTorch's "
            "install page",
        ),
        (
            [], OLD,
            "litlab needs Python 3.11 or newer, python3 is 3.9.2, python3.13 is missing, python3.12 is missing, "
            "python3.11 is missing; name one: make setup PYTHON=/path/to/python3.11",
        ),
        ([], NO_VENV, "python3 has no venv module: install it (Debian, Ubuntu: package python3-venv), or install uv"),
    ],
)  # fmt: skip
def test_what_cannot_be_set_up_is_told_in_one_line(clone, words, python, told):
    if python:
        tool(clone, "python3", python)
    done = make(clone, "setup", *words, path="" if python else "/usr/bin:/bin")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, told)
    assert not (clone / ".venv").exists()


def test_a_newer_python_beside_an_old_one_is_taken(clone):
    tool(clone, "python3", "exit 1")
    tool(clone, "python3.12", 'case "$*" in "-m venv .venv") echo made by 3.12; exit 1;; esac')
    done = make(clone, "setup", path="/usr/bin:/bin")
    assert "made by 3.12" in done.stdout


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
    assert targets == ["help", "setup", "train", "new", "dashboard", "test", "lint", "format", "clean"]
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
