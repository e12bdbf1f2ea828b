"""A package that must not be imported."""

import sys

import pytest


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A file that is there if any payload has run, and a package that makes it when it is imported."""
    file = tmp_path / "canary"
    (tmp_path / "canary_package.py").write_text(
        f"import functools, pathlib, torch\npathlib.Path({str(file)!r}).touch()\n"
        "class Optimizer(torch.optim.SGD): pass\n"
        "def make(): return Optimizer\n"
        "system = __import__('os').system\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "canary_package", raising=False)
    yield file
    sys.modules.pop("canary_package", None)
