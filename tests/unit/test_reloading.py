"""Another bundle at a stream's path: loaded if it is valid and fits, otherwise refused, and nothing stops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from driftwatch.config import DaemonConfig
from driftwatch.daemon import load_references
from driftwatch.data.schema import ImageSchema
from driftwatch.errors import ConfigError
from driftwatch.plan import Plan, Plans, make_plan
from driftwatch.reference.bundle import load_bundle, write_bundle
from driftwatch.reference.reference import Reference
from driftwatch.reloading import Reloading, ReloadRequests
from driftwatch.stream.events import Event, Reloaded
from driftwatch.stream.quiet_watch import QuietRule
from driftwatch.stream.standards import Standards
from tests.patience import PATIENCE_S


@dataclass
class Daemon:
    """The part of a daemon that reloads, and the events it reported."""

    link: Path
    plans: Plans
    config: DaemonConfig | Exception
    hangup: threading.Event = field(default_factory=threading.Event)
    events: list[Reloaded] = field(default_factory=list)
    announced_before: list[bool] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def observe(self, event: Event) -> None:
        assert isinstance(event, Reloaded)
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def announce(self, before: Plan, plan: Plan) -> Callable[[], None]:
        """Record whether a plan is announced while the one before is still in force."""
        return lambda: self.announced_before.append(self.plans.now is before)

    def reread(self) -> DaemonConfig:
        if isinstance(self.config, Exception):
            raise self.config
        return self.config

    def configure(self, outcome: str, **changes: object) -> str:
        """Change the configuration and request a reload; returns the detail of its event."""
        now = self.plans.now.config.model_dump()
        self.config = DaemonConfig.model_validate({**now, **changes})
        return self.request_reload("configuration", outcome).detail

    def swing(self, to: Path) -> None:
        """Make the stream's path point to another bundle, atomically."""
        other = self.link.with_name("next")
        other.symlink_to(to)
        other.replace(self.link)

    def request_reload(self, what: str, outcome: str) -> Reloaded:
        """Request a reload, and wait for its result: first of the configuration, then of each stream."""
        before, streams = len(self.events), len(self.plans.now.references)
        self.hangup.set()

        def matching() -> Iterator[Reloaded]:
            return (each for each in self.events[before:] if each.what == what)

        # The first event may still belong to a stream in the previous reload.
        with self.changed:
            assert self.changed.wait_for(
                lambda: len(self.events) > before + min(streams, 1) and any(matching()), PATIENCE_S
            )
        found = next(matching())
        assert found.outcome == outcome, found
        return found

    @property
    def version(self) -> str:
        return self.plans.now.references["waves"].version


@pytest.fixture(scope="module")
def other(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that differs only in its version."""
    return named(bundle, tmp_path_factory.mktemp("others") / "other")


def named(bundle: Path, out: Path, schema: ImageSchema | None = None) -> Path:
    held = load_bundle(bundle)
    write_bundle(
        out, name=out.name, schema=schema or held.schema, flow=held.flow, calibration=held.calibration, facts={}
    )
    return out


@pytest.fixture(autouse=True)
def _without_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without calibration, which takes seconds and is tested elsewhere: here a reference is its own standard."""
    standards: dict[str, object] = {}
    monkeypatch.setattr(Standards, "standard", lambda _, reference: standards.setdefault(reference.version, reference))


@contextmanager
def reloading(bundle: Path, folder: Path, **settings: object) -> Iterator[tuple[Daemon, Reloading]]:
    link = folder / "now"
    link.symlink_to(bundle)
    config = DaemonConfig.model_validate(
        {
            "source": {"kind": "kafka", "bootstrap_servers": ["127.0.0.1:9"], "topic": "t"},
            "streams": [{"name": "waves", "reference": str(link)}],
            "references": settings,
        }
    )
    daemon = Daemon(link, Plans(make_plan(config, {"waves": load_references(config)[str(link)]})), config)
    requests = ReloadRequests(daemon.hangup, daemon.reread)
    role = Reloading(daemon.plans, "cpu", requests, daemon.announce, daemon.observe)
    stop = threading.Event()
    thread = threading.Thread(target=role.run, args=[stop])
    thread.start()
    try:
        yield daemon, role
    finally:
        stop.set()
        thread.join(PATIENCE_S)


def test_a_hangup_loads_the_linked_bundle_and_earlier_ones_are_remembered(
    bundle: Path, other: Path, tmp_path: Path
) -> None:
    with reloading(bundle, tmp_path) as (daemon, _):
        first, plan = daemon.version, daemon.plans.now
        assert daemon.request_reload("reference", "unchanged").stream == "waves"
        assert daemon.plans.now is plan
        daemon.swing(other)
        daemon.request_reload("reference", "taken_up")
        assert daemon.version == load_bundle(other).version != first
        assert daemon.plans.now.routes["waves"].scorer.reference.version == daemon.version
        assert daemon.plans.find("waves", first) is plan.references["waves"]
        daemon.swing(bundle)
        daemon.request_reload("reference", "taken_up")
        assert daemon.plans.now.references["waves"] is plan.references["waves"]


def test_the_path_is_watched(bundle: Path, other: Path, tmp_path: Path) -> None:
    with reloading(bundle, tmp_path, watch_s=1) as (daemon, _):
        daemon.swing(other)
        with daemon.changed:
            assert daemon.changed.wait_for(lambda: daemon.events, PATIENCE_S)
        assert (daemon.events[0].outcome, daemon.version) == ("taken_up", load_bundle(other).version)


@pytest.mark.parametrize("kind", ["damaged", "unfit", "missing"])
def test_a_bundle_that_is_damaged_or_does_not_fit_is_refused_and_the_present_one_stays(
    bundle: Path, tmp_path: Path, kind: str
) -> None:
    bad = tmp_path / kind
    if kind != "missing":
        named(bundle, bad, ImageSchema(channels=1, height=4, width=16) if kind == "unfit" else None)
    if kind == "damaged":
        (bad / "flow.safetensors").write_bytes(b"")
    words = {"damaged": "is damaged", "unfit": "for samples of another kind", "missing": "cannot be read"}[kind]
    with reloading(bundle, tmp_path) as (daemon, _):
        plan = daemon.plans.now
        daemon.swing(bad)
        refused = daemon.request_reload("reference", "refused")
        assert words in refused.detail
        assert str(daemon.link) in refused.detail
        assert daemon.plans.now is plan
        daemon.swing(bundle)
        daemon.request_reload("reference", "unchanged")


def test_a_reference_that_panes_need_is_found_beside_the_linked_one(bundle: Path, other: Path, tmp_path: Path) -> None:
    elsewhere = named(bundle, tmp_path / "away" / "third")
    with reloading(other, tmp_path) as (daemon, role):
        sought = named(bundle, other.parent / "fourth")
        version = load_bundle(sought).version
        role.want("waves", load_bundle(elsewhere).version)
        role.want("waves", version)
        deadline = threading.Event()
        for _ in range(200):
            if daemon.plans.find("waves", version) is not None:
                break
            deadline.wait(0.1)
        assert daemon.plans.find("waves", version) is not None
        assert daemon.plans.find("waves", load_bundle(elsewhere).version) is None
        assert daemon.version == load_bundle(other).version


def test_a_plan_remembers_two_earlier_references_at_most(reference: Reference) -> None:
    config = DaemonConfig.model_validate(
        {
            "source": {"kind": "kafka", "bootstrap_servers": ["127.0.0.1:9"], "topic": "t"},
            "streams": [{"name": "waves", "reference": "nowhere"}],
        }
    )
    plan: Plan | None = None
    for version in "abcd":
        plan = make_plan(config, {"waves": replace(reference, version=version)}, plan)
    assert plan is not None
    assert [each for each in "abcd" if plan.find("waves", each)] == ["b", "c", "d"]
    assert [each.version for each in plan.earlier["waves"]] == ["c", "b"]


def test_a_new_configuration_takes_effect_as_a_whole(bundle: Path, other: Path, tmp_path: Path) -> None:
    with reloading(bundle, tmp_path) as (daemon, _):
        with capture_logs() as logged:
            assert daemon.request_reload("configuration", "unchanged").stream == ""
        assert "configuration unchanged" in [line["event"] for line in logged]
        first = daemon.plans.now
        both = [{"name": "waves", "reference": str(daemon.link)}, {"name": "more", "reference": str(other)}]
        daemon.configure("taken_up", streams=both, alerts={"min_effect": 0.5})
        plan = daemon.plans.now
        assert daemon.announced_before == [True], "otherwise the first events of a new stream would be dropped"
        assert list(daemon.plans.streams) == list(plan.routes) == ["waves", "more"]
        assert plan.references["waves"] is first.references["waves"]
        assert plan.routes["waves"].scorer is first.routes["waves"].scorer
        assert plan.standards is not first.standards
        quiet = [{**both[0], "quiet_after": "1h"}, {**both[1], "quiet_after": "never"}]
        daemon.configure("taken_up", streams=quiet, alerts={"quiet_after": "5m"})
        assert daemon.plans.quiet_rules() == {"waves": QuietRule(3_600_000, "warning")}
        daemon.configure("taken_up", streams=both[1:])
        assert list(daemon.plans.streams) == ["more"]
        assert daemon.plans.find("waves") is None
        assert daemon.plans.find("waves", first.references["waves"].version) is not None


def test_the_log_says_what_was_loaded(bundle: Path, other: Path, tmp_path: Path) -> None:
    waves = {"name": "waves", "reference": str(tmp_path / "now")}
    with capture_logs() as logged, reloading(bundle, tmp_path) as (daemon, _):
        daemon.configure("taken_up", alerts={"false_alarm_budget": "1 per 1e5 samples"})
        daemon.configure("taken_up", sinks=[{"kind": "log"}], streams=[{**waves, "sample_fraction": 0.5}])
        daemon.configure("taken_up", streams=[waves, *({**waves, "name": f"more {i}"} for i in range(12))])
        # The reload of the configuration also checks all streams, which must be over before the link changes.
        with daemon.changed:
            assert daemon.changed.wait_for(
                lambda: Reloaded("reference", "unchanged", "more 11") in daemon.events, PATIENCE_S
            )
        daemon.swing(other)
        assert daemon.request_reload("reference", "taken_up").stream == "waves"
    lines = [line for line in logged if line["event"].endswith("taken up")]
    assert [line.get("changed") for line in lines][:2] == ["alerts.false_alarm_budget", "sinks, streams.waves"]
    assert lines[2]["changed"].startswith("streams.waves, streams.more 0, ")
    assert lines[2]["changed"].endswith("streams.more 8 and 3 more")
    assert [line["event"] for line in lines][:3] == ["configuration taken up"] * 3
    assert lines[3]["event"] == "references taken up"
    version = load_bundle(other).version
    assert lines[3]["references"].startswith(f"waves {version}, more 0 {version}, ")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"windows": {"sizes": [50]}, "roles": ["test"]}, "windows, roles cannot change while the daemon runs"),
        ({"alerts": {"examples": {"count": 1}}}, "alerts.examples cannot change"),
        ({"sinks": [{"kind": "kafka", "topic": "elsewhere"}]}, "the alerts topic cannot change"),
        ({"streams": [{"name": "waves", "reference": "nowhere"}]}, "nowhere"),
    ],
)
def test_a_forbidden_change_leaves_the_configuration_in_force(
    bundle: Path, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with reloading(bundle, tmp_path) as (daemon, _):
        plan = daemon.plans.now
        assert words in daemon.configure("refused", **changes)
        daemon.config = ConfigError("is not valid YAML", where="daemon.yaml:3")
        assert "daemon.yaml:3" in daemon.request_reload("configuration", "refused").detail
        assert daemon.plans.now is plan
