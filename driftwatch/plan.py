"""What streams are currently scored and tested by: references, routes and standards, built from a configuration.

A plan never changes; it is replaced by another as a whole, which the stages pick up between two units of work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from driftwatch.config import DaemonConfig
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.quiet_watch import QuietRule, QuietRules
from driftwatch.stream.reading import Route
from driftwatch.stream.standards import Standard, Standards, standards_for

REMEMBERED = 2
"""References of a stream that are kept in addition to the current one: panes scored by them may still come."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What streams are scored and tested by.

    Args:
        config: what to watch.
        references: the current reference of each stream.
        earlier: references whose panes may still come, newest first; also of streams that were removed.
        routes: how each stream's messages are handled.
        standards: what windows are tested against.
    """

    config: DaemonConfig
    references: Mapping[str, Reference]
    earlier: Mapping[str, tuple[Reference, ...]] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    standards: Standards = field(kw_only=True)

    def known(self) -> dict[str, Reference]:
        """Every reference by its version."""
        every = (*self.references.values(), *(each for held in self.earlier.values() for each in held))
        return {reference.version: reference for reference in every}

    def find(self, stream: str, version: str | None = None) -> Standard | None:
        """See `driftwatch.stream.switching.FindStandard`."""
        current = self.references.get(stream)
        candidates: Iterable[Reference] = (*([current] if current else []), *self.earlier.get(stream, ()))
        if version is None:
            candidates = [current] if current else []
        for reference in candidates:
            if version in (None, reference.version):
                return self.standards.standard(reference)
        return None

    def calibrate(self) -> None:
        """Calibrate the standards of all references, which takes seconds for each new one.

        A daemon that only scores does not need them; otherwise each of a fleet would simulate the same streams.
        """
        if self.config.tests:
            for reference in self.known().values():
                self.standards.standard(reference)


def make_plan(
    config: DaemonConfig,
    references: Mapping[str, Reference],
    before: Plan | None = None,
    *,
    wanted: Iterable[tuple[str, Reference]] = (),
) -> Plan:
    """Make a plan, reusing what the one before has.

    Args:
        config: what to watch.
        references: by stream.
        before: the plan to replace.
        wanted: further references of streams, whose panes wait for them.
    """
    held = {stream: list(each) for stream, each in (before.earlier if before else {}).items()}
    for stream, old in (before.references if before else {}).items():
        if old is not references.get(stream):
            held.setdefault(stream, []).insert(0, old)
    for stream, reference in wanted:
        held.setdefault(stream, []).insert(0, reference)
    earlier = {
        stream: tuple(each for each in found if each is not references.get(stream))[:REMEMBERED]
        for stream, found in held.items()
    }
    scorers = {route.scorer.reference.version: route.scorer for route in (before.routes if before else {}).values()}
    for reference in references.values():
        if reference.version not in scorers:
            scorers[reference.version] = Scorer(reference)
    routes = {
        stream.name: Route(stream.name, scorers[references[stream.name].version], stream.format, stream.sample_fraction)
        for stream in config.streams
    }
    same = before is not None and (before.config.windows, before.config.alerts) == (config.windows, config.alerts)
    standards = before.standards if before is not None and same else standards_for(config.windows, config.alerts)
    return Plan(config, references, earlier, routes, standards=standards)


class StreamNames(Collection[str]):
    """The names of the streams that are currently watched."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._plans.now.references))

    def __len__(self) -> int:
        return len(self._plans.now.references)

    def __contains__(self, name: object) -> bool:
        return name in self._plans.now.references


class Plans:
    """The plan in force; thread-safe.

    Args:
        first: the initial plan.
    """

    def __init__(self, first: Plan) -> None:
        self.now = first
        self.streams = StreamNames(self)

    def find(self, stream: str, version: str | None = None) -> Standard | None:
        """See `driftwatch.stream.switching.FindStandard`."""
        return self.now.find(stream, version)

    def routes(self) -> Mapping[str, Route]:
        """Routes of the plan in force."""
        return self.now.routes

    def quiet_rules(self) -> QuietRules:
        """Rules on silent streams of the plan in force."""
        config = self.now.config
        severity = config.alerts.least_severity
        return {stream: QuietRule(after_ms, severity) for stream, after_ms in config.quiet_after_ms.items()}
