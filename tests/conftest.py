"""Fixtures shared by several packages of tests."""
# ruff: noqa: E402 - the garbage collector is off during the imports below

from __future__ import annotations

import gc

gc.disable()  # until collection is finished: little becomes garbage, and looking for it took a seventh of the time

import re
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import torch
from _pytest.doctest import DoctestModule
from hypothesis import settings

import driftwatch
from driftwatch.reference.loading import load_reference
from driftwatch.reference.reference import Reference
from tests.once import made_once
from tests.people import people_bundle
from tests.s3 import BUCKET, enter, s3_server
from tests.sidecar import Sidecar
from tests.synthetic import small_bundle, with_null

# How long an example takes depends on the machine, not on the code.
settings.register_profile("driftwatch", deadline=None)
settings.load_profile("driftwatch")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Collect no doctests from the tests' own files: they have none, and looking for them takes time."""
    return [each for each in (yield) if not isinstance(each, DoctestModule)]


def pytest_collection_finish() -> None:
    """Exempt what is loaded by now from garbage collection, since it stays until the end."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small bundle."""
    return made_once(tmp_path_factory, "bundles", lambda folder: small_bundle(folder, windows=(20, 100)))


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that scores the same samples differently."""
    return made_once(tmp_path_factory, "others", lambda folder: small_bundle(folder, "other", seed=7))


@pytest.fixture(scope="session")
def timed_bundle(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small bundle with the null of windows by time as well, which takes seconds to simulate."""
    return made_once(tmp_path_factory, "timed", lambda folder: with_null(bundle, folder, 20, 100, "10s"))


@pytest.fixture(scope="session")
def reference(bundle: Path) -> Reference:
    """A small reference."""
    return load_reference(bundle)


@pytest.fixture(scope="session")
def table_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small bundle of a table."""
    return made_once(tmp_path_factory, "people", people_bundle)


@pytest.fixture(scope="session")
def people(table_bundle: Path) -> driftwatch.Reference:
    """A small reference of a table, as users load it in Python."""
    return driftwatch.load(table_bundle)


@pytest.fixture(scope="session")
def pictures(bundle: Path) -> driftwatch.Reference:
    """A small reference of images, as users load it in Python."""
    return driftwatch.load(bundle)


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    """A stand-in for a sidecar, which records what it receives."""
    with Sidecar() as running:
        yield running


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    """An S3 server, and the environment in which clients find it."""
    with s3_server() as environment:
        yield environment


@pytest.fixture
def bucket(s3: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A prefix in S3 for one test, with access set up for this process: a URL without the last slash."""
    enter(monkeypatch, s3)
    return f"s3://{BUCKET}/{re.sub('[^a-z0-9]+', '-', request.node.name)}"
