"""The mirrors of MNIST-like files: torchvision's, and Debian's package."""

import hashlib
import http.client
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from litlab.escape import one_line

MIRROR_TIMEOUT = 10.0  # seconds without an answer, after which a mirror is given up
APT_TIMEOUT = 300.0  # seconds for one command: the package is 30 MB, and a slow line is no failure

# Yields each of the named files and its packed content; raises UnusableError.
Road = Callable[[Sequence[str]], Iterator[tuple[str, bytes]]]


class UnusableError(Exception):
    """A file or a road that does not serve; the message goes on after its name: "is ...", "cannot ..."."""


def roads(name: str, package: str | None, folder: Path) -> Iterator[tuple[str, Road]]:
    """Each road and its name, the cheapest first."""
    from torchvision import datasets  # here, not above: it takes a second, and only a first run needs it

    dataset = getattr(datasets, name)
    for mirror in dataset.mirrors:
        yield mirror, partial(_from_mirror, mirror, dict(dataset.resources))
    if package:
        yield f"apt-get download {package}", partial(_from_apt, package, folder)


def _from_mirror(mirror: str, gz_md5: dict[str, str], files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Not by torchvision's download_url: it has no timeout, draws bars and falls back from https to http."""
    for file in files:
        request = urllib.request.Request(f"{mirror}{file}.gz", headers={"User-Agent": "litlab"})
        try:
            with urllib.request.urlopen(request, timeout=MIRROR_TIMEOUT) as response:
                packed = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnusableError(f"does not serve {file}.gz ({one_line(error)})") from error
        if hashlib.md5(packed, usedforsecurity=False).hexdigest() != gz_md5[f"{file}.gz"]:
            raise UnusableError(f"serves another {file}.gz (wrong checksum of {len(packed)} bytes)")
        yield file, packed


def _from_apt(package: str, folder: Path, files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Downloads and unpacks the operating system's package in `folder`; installs nothing."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise UnusableError("is not possible (no apt-get and dpkg here)")
    # The package lists of a fresh container are empty, so that apt knows no package before an update.
    timeouts = [f"-oAcquire::{scheme}::Timeout={MIRROR_TIMEOUT:.0f}" for scheme in ("http", "https")]
    try:
        _run(["apt-get", *timeouts, "download", package], folder)
    except UnusableError as error:
        if os.geteuid() != 0:
            raise UnusableError(f"{error}; run: sudo apt-get update") from error
        _run(["apt-get", *timeouts, "update"], folder)
        _run(["apt-get", *timeouts, "download", package], folder)
    for deb in folder.glob("*.deb"):
        _run(["dpkg", "-x", str(deb), str(folder / "unpacked")], folder)
    for file in files:
        found = list((folder / "unpacked").rglob(f"{file}.gz"))
        if not found:
            raise UnusableError(f"has no {file}.gz")
        yield file, found[0].read_bytes()


def _run(command: list[str], folder: Path) -> None:
    """Runs quietly; raises UnusableError with the command's own last error line."""
    try:
        subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=APT_TIMEOUT,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        # As root, apt also warns (W:) that it downloads unsandboxed; that is harmless and not the reason.
        said = [line for line in error.stderr.splitlines() if line.strip() and not line.startswith("W:")]
        raise UnusableError(f"failed ({one_line(said[-1] if said else error)})") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnusableError(f"failed ({one_line(error)})") from error
