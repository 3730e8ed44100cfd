"""Programs of Debian's packages that tests run: where they are, and what becomes of a test without them."""

from __future__ import annotations

import os
import shutil

import pytest


def required(program: str, package: str) -> str:
    """The path of a program; a test that lacks it fails in CI, and is skipped elsewhere."""
    found = shutil.which(program)
    if found is None:
        missing = f"there is no {program} here; on Debian: apt install {package}"
        assert not os.environ.get("CI"), missing
        pytest.skip(missing)
    return found
