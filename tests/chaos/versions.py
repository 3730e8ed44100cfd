"""The code of an earlier version of driftwatch."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.chaos.fleet import PRESENT

PACKAGES = ("driftwatch", "deploy")


def code_of(commit: str, folder: Path) -> Path:
    """Write the packages of a commit to their own folder.

    Args:
        commit: of this repository; a shallow clone may have to fetch its history first.
        folder: in which the new folder is created.

    Raises:
        CalledProcessError: the commit does not exist in this clone.
    """
    code = folder / f"code-{commit}"
    code.mkdir()
    packed = subprocess.run(["git", "archive", commit, *PACKAGES], cwd=PRESENT, stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "-x"], cwd=code, input=packed.stdout, check=True)
    return code
