"""Debian's programs that tests run: how a test finds them, and what happens if one is missing."""

from __future__ import annotations

import os
import shutil

import pytest


def required(program: str, package: str) -> str:
    """The path of a program; without it the test fails in CI and is skipped elsewhere."""
    found = shutil.which(program)
    if found is None:
        missing = f"{program} is not installed; on Debian: apt install {package}"
        assert not os.environ.get("CI"), missing
        pytest.skip(missing)
    return found
