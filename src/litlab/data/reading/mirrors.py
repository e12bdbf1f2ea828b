"""Downloads of MNIST and Fashion-MNIST: torchvision's mirrors, and Debian's package."""

import hashlib
import http.client
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from litlab.escape import one_line

MIRROR_TIMEOUT = 10.0  # seconds without an answer
APT_TIMEOUT = 300.0  # seconds for one command: the package has 30 MB

# Yields the name and the gzipped content of each requested file; raises UnusableError.
Mirror = Callable[[Sequence[str]], Iterator[tuple[str, bytes]]]


class UnusableError(Exception):
    """A file or a mirror that cannot be used; the message continues its name: "is ...", "cannot ..."."""


def mirrors(name: str, package: str | None, folder: Path) -> Iterator[tuple[str, Mirror]]:
    """The mirrors of torchvision's data set `name` and their names, the cheapest first; `folder` is for a package."""
    from torchvision import datasets  # here: it takes a second, and only a first run needs it

    dataset = getattr(datasets, name)
    for url in dataset.mirrors:
        yield url, partial(_from_url, url, dict(dataset.resources))
    if package:
        yield f"apt-get download {package}", partial(_from_apt, package, folder)


def _from_url(url: str, gz_md5: dict[str, str], files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Not by torchvision's download_url: it has no timeout, draws bars and falls back from https to http."""
    for file in files:
        request = urllib.request.Request(f"{url}{file}.gz", headers={"User-Agent": "litlab"})
        try:
            with urllib.request.urlopen(request, timeout=MIRROR_TIMEOUT) as response:
                packed = response.read()
        except (OSError, http.client.HTTPException) as error:
            cause = error.reason if type(error) is urllib.error.URLError else error  # which only wraps it
            raise UnusableError(f"does not serve {file}.gz ({one_line(cause)})") from error
        if hashlib.md5(packed, usedforsecurity=False).hexdigest() != gz_md5[f"{file}.gz"]:
            raise UnusableError(f"serves another {file}.gz (wrong checksum of {len(packed)} bytes)")
        yield file, packed


def _from_apt(package: str, folder: Path, files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Download and unpack the operating system's package in `folder`, without installing it."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise UnusableError("is not possible (no apt-get and dpkg here)")
    apt = ["apt-get", *(f"-oAcquire::{scheme}::Timeout={MIRROR_TIMEOUT:.0f}" for scheme in ("http", "https"))]
    try:
        _run([*apt, "download", package], folder)
    except UnusableError as error:  # a fresh container has no package lists
        if os.geteuid() != 0:
            raise UnusableError(f"{error}; run: sudo apt-get update") from error
        _run([*apt, "update"], folder)
        _run([*apt, "download", package], folder)
    for deb in folder.glob("*.deb"):
        _run(["dpkg", "-x", str(deb), str(folder / "unpacked")], folder)
    for file in files:
        found = next((folder / "unpacked").rglob(f"{file}.gz"), None)
        if found is None:
            raise UnusableError(f"has no {file}.gz")
        yield file, found.read_bytes()


def _run(command: list[str], folder: Path) -> None:
    """Run quietly; raises UnusableError with the last line of the command's errors."""
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
        # As root, apt also warns (W:) that it downloads unsandboxed, which is harmless.
        lines = [line for line in error.stderr.splitlines() if line.strip() and not line.startswith("W:")]
        raise UnusableError(f"failed ({one_line(lines[-1] if lines else error)})") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnusableError(f"failed ({one_line(error)})") from error
