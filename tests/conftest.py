"""Fixtures that several rooms share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from driftwatch.reference.reference import Reference, load_reference
from tests.sidecar import Sidecar
from tests.synthetic import small_bundle


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small bundle."""
    return small_bundle(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="session")
def reference(bundle: Path) -> Reference:
    """A small reference."""
    return load_reference(bundle)


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    """A sidecar's stand-in, which records what it is sent."""
    with Sidecar() as running:
        yield running
