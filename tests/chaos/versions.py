"""Driftwatch's code as an earlier commit has it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.chaos.fleet import PRESENT

PACKAGES = ("driftwatch", "deploy")


def code_of(commit: str, folder: Path) -> Path:
    """Writes the packages of a commit to a folder of their own.

    Args:
        commit: of this repository; its whole history may have to be fetched for that.
        folder: for the folder.

    Raises:
        CalledProcessError: there is no such commit here.
    """
    code = folder / f"code-{commit}"
    code.mkdir()
    packed = subprocess.run(["git", "archive", commit, *PACKAGES], cwd=PRESENT, stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "-x"], cwd=code, input=packed.stdout, check=True)
    return code
