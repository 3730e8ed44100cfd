"""A sidecar's stand-in for the client's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sidecar import Sidecar


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    with Sidecar() as running:
        yield running
