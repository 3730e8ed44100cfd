"""What every daemon does, whatever its roles."""

from __future__ import annotations

import gc
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

import driftwatch.daemon
from driftwatch.config import DaemonConfig
from driftwatch.daemon import Daemon, run_daemon
from driftwatch.reference.reference import Reference
from driftwatch.running import NEW_OBJECTS, build_monitor, noting_hangups, spare_collector
from driftwatch.stream.events import Calibrated, ReferenceInUse
from driftwatch.stream.intake import Posted
from tests.threads import daemon_of


def test_a_hangup_before_the_handler_was_installed_is_noticed() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        signal.raise_signal(signal.SIGHUP)
        with noting_hangups() as hangup:
            assert hangup.is_set()
            hangup.clear()
            signal.raise_signal(signal.SIGHUP)
            assert hangup.is_set()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_the_garbage_collector_seldom_traverses_permanent_objects() -> None:
    before = gc.get_threshold()
    try:
        spare_collector()
        assert gc.get_threshold() == (NEW_OBJECTS, *before[1:])
        assert gc.get_freeze_count() > 0
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@pytest.mark.parametrize(
    ("source", "roles"),
    [
        ({"kind": "kafka", "bootstrap_servers": ["broker:9092"], "topic": "t"}, {"score", "test"}),
        ({"kind": "http"}, {"intake"}),
    ],
)
def test_a_role_that_has_not_yet_reached_its_source_is_reported_as_disconnected(
    source: dict[str, Any], roles: set[str]
) -> None:
    """An alert on a value of 0 ignores an absent series."""
    config = DaemonConfig.model_validate({"source": source, "streams": [{"name": "a", "reference": "a"}]})
    text = build_monitor(config).metrics.render()[0].decode()
    found = dict(re.findall(r'^driftwatch_source_connected\{role="(.+)"\} (.+)$', text, re.MULTILINE))
    assert found == dict.fromkeys(roles, "0.0")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_during_calibration_takes_effect(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Forty references take minutes to calibrate, and a service manager kills a daemon after half a minute."""

    def prepare(_: Daemon) -> None:
        signal.raise_signal(number)
        pytest.fail("it continued")

    monkeypatch.setattr(driftwatch.daemon, "configure_logging", lambda *_: None)
    monkeypatch.setattr(Daemon, "prepare", prepare)
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    config = {"source": {"kind": "http"}, "streams": [{"name": "a", "reference": bundle}], "server": {"port": 0}}
    assert run_daemon(DaemonConfig.model_validate(config)) == 0
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_stop_during_calibration_reports_the_requests_that_were_accepted(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(daemon: Daemon) -> None:
        queue = daemon._queue
        assert queue is not None
        assert queue.claim(2)
        assert queue.put(Posted(b"{}", (), "", 0))
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(driftwatch.daemon, "configure_logging", lambda *_: None)
    monkeypatch.setattr(Daemon, "prepare", prepare)
    config = {"source": {"kind": "http"}, "streams": [{"name": "a", "reference": bundle}], "server": {"port": 0}}
    with capture_logs() as logged:
        assert run_daemon(DaemonConfig.model_validate(config)) == 0
    (left,) = [each for each in logged if each["log_level"] == "warning" and "requests" in each["event"]]
    assert (left["event"], left["messages"]) == ("stopped with requests that are not scored", 1)


@pytest.mark.parametrize("roles", [["score"], ["test"]])
def test_only_a_daemon_that_tests_calibrates(
    roles: list[str], reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calibrating windows without a stored null takes half a minute, which a daemon that only scores can skip."""
    simulated: list[str] = []
    procedure = Reference.procedure

    def simulate(self: Reference, *sizes: Any, **options: Any) -> Any:
        simulated.append(self.name)
        return procedure(self, *sizes, **options)

    monkeypatch.setattr(Reference, "procedure", simulate)
    config = {
        "source": {"kind": "kafka", "bootstrap_servers": ["broker:9092"], "topic": "t"},
        "streams": [{"name": "a", "reference": "a"}],
        "windows": {"sizes": [20], "step": 10},
        "roles": roles,
    }
    _, events = daemon_of(config, reference)
    assert sum(isinstance(each, ReferenceInUse) for each in events) == 1
    assert sum(isinstance(each, Calibrated) for each in events) == len(simulated) == roles.count("test")
