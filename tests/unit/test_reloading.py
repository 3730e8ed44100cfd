"""Another bundle at a stream's place: taken up if it is sound and fits, else refused, and nothing stops."""

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

WAIT_S = 20.0


@dataclass
class Daemon:
    """The part of a daemon that is tested, and what it told."""

    link: Path
    plans: Plans
    config: DaemonConfig | Exception
    hangup: threading.Event = field(default_factory=threading.Event)
    told: list[Reloaded] = field(default_factory=list)
    early: list[bool] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def observe(self, event: Event) -> None:
        assert isinstance(event, Reloaded)
        with self.changed:
            self.told.append(event)
            self.changed.notify_all()

    def announce(self, before: Plan, plan: Plan) -> Callable[[], None]:
        """Notes whether a plan is told of while the one before is still in force."""
        return lambda: self.early.append(self.plans.now is before)

    def reread(self) -> DaemonConfig:
        if isinstance(self.config, Exception):
            raise self.config
        return self.config

    def configure(self, outcome: str, **changes: object) -> str:
        """Writes another configuration and asks for a look; gives what was told of it."""
        now = self.plans.now.config.model_dump()
        self.config = DaemonConfig.model_validate({**now, **changes})
        return self.hang_up("configuration", outcome).detail

    def swing(self, to: Path) -> None:
        """Lets the stream's place be another bundle, in one step."""
        other = self.link.with_name("next")
        other.symlink_to(to)
        other.replace(self.link)

    def hang_up(self, what: str, outcome: str) -> Reloaded:
        """Asks for a look, and waits for what comes of it: first of the configuration, then of each stream."""
        before, streams = len(self.told), len(self.plans.now.references)
        self.hangup.set()

        def asked_for() -> Iterator[Reloaded]:
            return (each for each in self.told[before:] if each.what == what)

        # What comes first may still be of a stream at the look before.
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.told) > before + min(streams, 1) and any(asked_for()), WAIT_S)
        found = next(asked_for())
        assert found.outcome == outcome, found
        return found

    @property
    def version(self) -> str:
        return self.plans.now.references["waves"].version


@pytest.fixture(scope="module")
def other(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of another version that does the same."""
    return named(bundle, tmp_path_factory.mktemp("others") / "other")


def named(bundle: Path, out: Path, schema: ImageSchema | None = None) -> Path:
    held = load_bundle(bundle)
    write_bundle(
        out, name=out.name, schema=schema or held.schema, flow=held.flow, calibration=held.calibration, facts={}
    )
    return out


@pytest.fixture(autouse=True)
def _uncalibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibration has tests of its own, and takes seconds: here a reference is its own standard."""
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
    asked = ReloadRequests(daemon.hangup, daemon.reread)
    role = Reloading(daemon.plans, "cpu", asked, daemon.announce, daemon.observe)
    stop = threading.Event()
    thread = threading.Thread(target=role.run, args=[stop])
    thread.start()
    try:
        yield daemon, role
    finally:
        stop.set()
        thread.join(WAIT_S)


def test_a_hangup_takes_up_what_is_linked_now_and_remembers_what_was(bundle: Path, other: Path, tmp_path: Path) -> None:
    with reloading(bundle, tmp_path) as (daemon, _):
        first, plan = daemon.version, daemon.plans.now
        assert daemon.hang_up("reference", "unchanged").stream == "waves"
        assert daemon.plans.now is plan
        daemon.swing(other)
        daemon.hang_up("reference", "taken_up")
        assert daemon.version == load_bundle(other).version != first
        assert daemon.plans.now.routes["waves"].scorer.reference.version == daemon.version
        assert daemon.plans.find("waves", first) is plan.references["waves"]
        daemon.swing(bundle)
        daemon.hang_up("reference", "taken_up")
        assert daemon.plans.now.references["waves"] is plan.references["waves"]


def test_the_place_is_watched(bundle: Path, other: Path, tmp_path: Path) -> None:
    with reloading(bundle, tmp_path, watch_s=1) as (daemon, _):
        daemon.swing(other)
        with daemon.changed:
            assert daemon.changed.wait_for(lambda: daemon.told, WAIT_S)
        assert (daemon.told[0].outcome, daemon.version) == ("taken_up", load_bundle(other).version)


@pytest.mark.parametrize("kind", ["damaged", "unfit", "missing"])
def test_what_is_damaged_or_does_not_fit_is_refused_and_the_present_one_stays(
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
        refused = daemon.hang_up("reference", "refused")
        assert words in refused.detail
        assert str(daemon.link) in refused.detail
        assert daemon.plans.now is plan
        daemon.swing(bundle)
        daemon.hang_up("reference", "unchanged")


def test_a_reference_that_panes_wait_for_is_found_beside_what_is_linked(
    bundle: Path, other: Path, tmp_path: Path
) -> None:
    away = named(bundle, tmp_path / "away" / "third")
    with reloading(other, tmp_path) as (daemon, role):
        sought = named(bundle, other.parent / "fourth")
        version = load_bundle(sought).version
        role.want("waves", load_bundle(away).version)
        role.want("waves", version)
        deadline = threading.Event()
        for _ in range(200):
            if daemon.plans.find("waves", version) is not None:
                break
            deadline.wait(0.1)
        assert daemon.plans.find("waves", version) is not None
        assert daemon.plans.find("waves", load_bundle(away).version) is None
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


def test_another_configuration_is_taken_up_as_a_whole(bundle: Path, other: Path, tmp_path: Path) -> None:
    with reloading(bundle, tmp_path) as (daemon, _):
        with capture_logs() as said:
            assert daemon.hang_up("configuration", "unchanged").stream == ""
        assert "configuration unchanged" in [line["event"] for line in said]
        first = daemon.plans.now
        both = [{"name": "waves", "reference": str(daemon.link)}, {"name": "more", "reference": str(other)}]
        daemon.configure("taken_up", streams=both, alerts={"min_effect": 0.5})
        plan = daemon.plans.now
        assert daemon.early == [True], "the first that is told of a new stream would be dropped"
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


def test_the_log_says_what_was_taken_up(bundle: Path, other: Path, tmp_path: Path) -> None:
    waves = {"name": "waves", "reference": str(tmp_path / "now")}
    with capture_logs() as said, reloading(bundle, tmp_path) as (daemon, _):
        daemon.configure("taken_up", alerts={"false_alarm_budget": "1 per 1e5 samples"})
        daemon.configure("taken_up", sinks=[{"kind": "log"}], streams=[{**waves, "sample_fraction": 0.5}])
        daemon.configure("taken_up", streams=[waves, *({**waves, "name": f"more {i}"} for i in range(12))])
        # The look that the configuration brought goes through all streams, and is to be over before the swing.
        with daemon.changed:
            assert daemon.changed.wait_for(lambda: Reloaded("reference", "unchanged", "more 11") in daemon.told, WAIT_S)
        daemon.swing(other)
        assert daemon.hang_up("reference", "taken_up").stream == "waves"
    told = [line for line in said if line["event"].endswith("taken up")]
    assert [line.get("changed") for line in told][:2] == ["alerts.false_alarm_budget", "sinks, streams.waves"]
    assert told[2]["changed"].startswith("streams.waves, streams.more 0, ")
    assert told[2]["changed"].endswith("streams.more 8 and 3 more")
    assert [line["event"] for line in told][:3] == ["configuration taken up"] * 3
    assert told[3]["event"] == "references taken up"
    version = load_bundle(other).version
    assert told[3]["references"].startswith(f"waves {version}, more 0 {version}, ")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"windows": {"sizes": [50]}, "roles": ["test"]}, "windows, roles cannot change while the daemon runs"),
        ({"alerts": {"examples": {"count": 1}}}, "alerts.examples cannot change"),
        ({"sinks": [{"kind": "kafka", "topic": "elsewhere"}]}, "the alerts topic cannot change"),
        ({"streams": [{"name": "waves", "reference": "nowhere"}]}, "nowhere"),
    ],
)
def test_what_cannot_change_leaves_the_configuration_as_it_was(
    bundle: Path, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with reloading(bundle, tmp_path) as (daemon, _):
        plan = daemon.plans.now
        assert words in daemon.configure("refused", **changes)
        daemon.config = ConfigError("is not valid YAML", where="daemon.yaml:3")
        assert "daemon.yaml:3" in daemon.hang_up("configuration", "refused").detail
        assert daemon.plans.now is plan
