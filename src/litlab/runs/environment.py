"""What results depend on besides the settings: the code's commit and the machine."""

import functools
import os
import platform
import subprocess
from pathlib import Path
from typing import Any


def git_state() -> dict[str, Any]:
    """Commit of the running code, and whether code or configs differ from it; None without git."""

    def git(*words: str) -> str | None:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return None

    commit = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--", ":/src", ":/conf", ":/scripts")  # a new file is a change, too
    return {"commit": commit, "dirty": None if changed is None else bool(changed)}


@functools.lru_cache(maxsize=1)
def git_state_in_sweep(folder: str) -> dict[str, Any]:
    """`git_state` when the sweep in this folder began in this process, whose code later changes do not reach."""
    return git_state()


def environment() -> dict[str, Any]:
    """Python, platform and cores; the run adds torch and the device."""
    return {"python": platform.python_version(), "platform": platform.platform(), "cpus": os.cpu_count()}
