"""A real broker, and daemons as users run them: as separate processes."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.broker import KafkaBroker, start_broker
from tests.broker.fallback import PACKAGE, WARNING, start_fallback
from tests.broker.jars import missing_tools
from tests.cluster import Cluster
from tests.daemons import RunningDaemon, launch, launch_forked

_numbers = itertools.count()


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    """A broker's address: of the one in `DRIFTWATCH_TEST_BOOTSTRAP`, or else of one started for the tests."""
    given = os.environ.get("DRIFTWATCH_TEST_BOOTSTRAP")
    if given:
        yield given
        return
    missing = missing_tools()
    if missing:
        assert not os.environ.get("CI"), f"Apache Kafka cannot run here: {missing}; in CI no stand-in is accepted"
        warnings.warn(WARNING.format(missing=missing, package=PACKAGE), stacklevel=1)
        with start_fallback() as address:
            yield address
        return
    with start_broker() as broker:
        yield broker.bootstrap


def require_apache_kafka() -> None:
    """Skip the test if Apache Kafka cannot run; in CI, fail."""
    if missing := missing_tools():
        assert not os.environ.get("CI"), f"Apache Kafka cannot run here: {missing}"
        pytest.skip(f"Apache Kafka cannot run here: {missing}")


@pytest.fixture
def own_broker() -> Iterator[KafkaBroker]:
    """A broker that the test may stop and kill; no stand-in is accepted."""
    require_apache_kafka()
    with start_broker() as broker:
        yield broker


@pytest.fixture
def cluster(bootstrap: str) -> Cluster:
    """Topics that belong to this test."""
    return Cluster(bootstrap, f"t{os.getpid()}-{next(_numbers)}")


StartDaemon = Callable[..., RunningDaemon]


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[StartDaemon]:
    """Start daemons from a configuration, forked or as new processes; those still running at the end are killed."""
    running: list[RunningDaemon] = []

    def start(config: Mapping[str, Any], *, serving: bool = True, new_process: bool = False) -> RunningDaemon:
        daemon = (launch if new_process else launch_forked)(config, tmp_path, f"daemon-{len(running)}")
        running.append(daemon)
        if serving:
            daemon.wait_for("address", lambda: any("url" in line for line in daemon.lines()))
            daemon.url = next(line["url"] for line in daemon.lines() if "url" in line)
        return daemon

    yield start
    for daemon in running:
        if daemon.process.poll() is None:
            daemon.kill()
