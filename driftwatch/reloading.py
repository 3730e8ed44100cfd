"""Reloads references and the configuration while the daemon runs.

New ones are found, verified and calibrated without interrupting the stages, and put in force completely or not at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import structlog

from driftwatch.config import DaemonConfig, ReplaySource, StreamConfig
from driftwatch.data.schema import same_samples
from driftwatch.errors import BundleError, ConfigError, DriftwatchError
from driftwatch.locations import RemotePath
from driftwatch.plan import Plan, Plans, make_plan
from driftwatch.reference.bundle import bundle_beside, peek_version
from driftwatch.reference.loading import load_reference
from driftwatch.reference.mlflow_client import SCHEMES
from driftwatch.reference.reference import Reference
from driftwatch.stream.events import Observer, Reloaded

CHECK_S = 0.3
"""Between two checks for a request to reload."""

NAMED = 10
"""How many changes one line of the log lists."""

WANTED_S = 2.0
"""Between two checks for a reference that panes wait for."""

log = structlog.get_logger("driftwatch.reload")


RELOADED = frozenset({"streams", "alerts", "sinks", "references"})
"""Sections of a configuration that may change while the daemon runs."""

UNCHANGED_ALERTS = ("examples",)
"""Settings of alerts that may not change: the score role reads them once, at its start."""


@dataclass(frozen=True)
class ReloadRequests:
    """How a person requests a reload.

    Args:
        hangup: requests a check of everything.
        reread: reads the configuration again; None if it cannot have changed.
    """

    hangup: threading.Event = field(default_factory=threading.Event)
    reread: Callable[[], DaemonConfig] | None = None


class Reloading:
    """A role that checks for other references: regularly, on a hangup, and when panes wait for one.

    On a hangup it also checks for another configuration.

    Args:
        plans: holds the plan to be replaced.
        device: to load references on.
        requests: how a person requests a reload.
        prepare: prepares the change from a plan to another, both calibrated; the function that it returns reports the
            new plan, and puts in force what is not in the plan itself.
        observer: receives the outcomes.
    """

    name = "reload"

    def __init__(
        self,
        plans: Plans,
        device: str,
        requests: ReloadRequests,
        prepare: Callable[[Plan, Plan], Callable[[], None]],
        observer: Observer,
    ) -> None:
        self._plans = plans
        self._device = device
        self._prepare = prepare
        self._observe = observer
        self._requests = requests
        self._lock = threading.Lock()
        self._wanted: set[tuple[str, str]] = set()
        self._refused: dict[str, str] = {}

    def want(self, stream: str, version: str) -> None:
        """Request a version of a stream's reference."""
        with self._lock:
            self._wanted.add((stream, version))

    def run(self, stop: threading.Event) -> None:
        """Check until `stop` is set."""
        checked_s = time.monotonic()
        missing: set[tuple[str, str]] = set()
        while not stop.wait(CHECK_S):
            requested = self._requests.hangup.is_set()
            self._requests.hangup.clear()
            before, missing = missing, self._missing()
            every_s = WANTED_S if missing else self._plans.now.config.references.watch_s
            if requested:
                self._reconfigure()
            if requested or missing - before or time.monotonic() - checked_s > every_s:
                self._check(missing, requested=requested)
                checked_s = time.monotonic()

    def _missing(self) -> set[tuple[str, str]]:
        """References that were requested and are still missing."""
        with self._lock:
            plan = self._plans.now
            self._wanted = {
                (stream, version)
                for stream, version in self._wanted
                if stream in plan.references and plan.find(stream, version) is None
            }
            return set(self._wanted)

    def _reconfigure(self) -> None:
        """Switch to another configuration, if there is one and all of it can be used."""
        if self._requests.reread is None:
            return
        plan = self._plans.now
        try:
            config = self._requests.reread()
            require_reloadable(plan.config, config)
            if config == plan.config:
                log.info("configuration unchanged")
                self._observe(Reloaded("configuration", "unchanged"))
                return
            loaded = plan.known()
            references = {stream.name: self._configured(stream, plan, loaded) for stream in config.streams}
            seconds = self._take_up(plan, make_plan(config, references, plan))
        except DriftwatchError as error:
            log.error("configuration refused; the previous one stays in force", error=str(error))
            self._observe(Reloaded("configuration", "refused", detail=str(error)))
        else:
            changed = _listed(changes(plan.config, config))
            log.info("configuration taken up", changed=changed, streams=len(config.streams), seconds=seconds)
            self._observe(Reloaded("configuration", "taken_up"))

    def _configured(self, stream: StreamConfig, plan: Plan, loaded: dict[str, Reference]) -> Reference:
        """The reference of a stream in another configuration: the current one, if its place is unchanged.

        Raises:
            DriftwatchError: there is none, or it does not fit samples of the stream.
        """
        before, current = plan.config.stream(stream.name), plan.references.get(stream.name)
        if before is not None and before.reference == stream.reference:
            return plan.references[stream.name]
        return self._at(stream, current, loaded, requested=True)

    def _check(self, missing: set[tuple[str, str]], *, requested: bool) -> None:
        """Switch to the references at their configured places, and add those that panes wait for."""
        plan = self._plans.now
        found, loaded = dict(plan.references), plan.known()
        wanted: list[tuple[str, Reference]] = []
        changed: list[str] = []
        for stream in plan.config.streams:
            current = plan.references[stream.name]
            try:
                reference = self._at(stream, current, loaded, requested=requested)
            except DriftwatchError as error:
                self._refuse(stream.name, str(error), requested=requested)
                continue
            if reference.version != current.version:
                found[stream.name] = reference
                changed.append(stream.name)
            elif requested or stream.name in self._refused:
                self._report(stream.name, "unchanged")
        for name, version in missing - {(name, reference.version) for name, reference in found.items()}:
            wanted += self._beside(plan, name, version)
        if changed or wanted:
            seconds = self._take_up(plan, make_plan(plan.config, found, plan, wanted=wanted))
            taken = [*((name, found[name]) for name in changed), *wanted]
            details = [f"{name} {reference.version}" for name, reference in taken]
            log.info("references taken up", references=_listed(details), seconds=seconds)
        for name in changed:
            self._report(name, "taken_up")

    def _take_up(self, plan: Plan, new: Plan) -> float:
        """Put a plan in force; return how many seconds that took."""
        started = time.monotonic()
        new.calibrate()
        apply = self._prepare(plan, new)
        # First, since events on unknown streams are dropped, and many events are sent only once.
        apply()
        self._plans.now = new
        new.standards.keep(new.known())
        return round(time.monotonic() - started, 2)

    def _at(
        self, stream: StreamConfig, current: Reference | None, loaded: dict[str, Reference], *, requested: bool
    ) -> Reference:
        """The reference at a stream's configured place, if it fits samples of the stream.

        Raises:
            DriftwatchError: there is none, or it does not fit.
        """
        place = stream.reference
        if isinstance(place, RemotePath) and place.scheme in SCHEMES:
            if current is not None and not requested:
                return current
            reference = load_reference(place, self._device)
        else:
            reference = loaded.get(peek_version(place)) or load_reference(place, self._device)
        if current is not None:
            self._require_fit(reference, current, str(place))
        return loaded.setdefault(reference.version, reference)

    def _beside(self, plan: Plan, stream: str, version: str) -> list[tuple[str, Reference]]:
        """The reference with a version, if it is in a folder beside that of the stream."""
        configured = plan.config.stream(stream)
        place = bundle_beside(configured.reference, version) if configured else None
        if place is None:
            return []
        try:
            reference = load_reference(place, self._device)
            self._require_fit(reference, plan.references[stream], str(place))
        except DriftwatchError as error:
            self._refuse(stream, str(error), requested=False)
            return []
        return [(stream, reference)]

    def _require_fit(self, reference: Reference, current: Reference, where: str) -> None:
        """Reject a reference that does not read the same samples as the current one.

        Raises:
            BundleError: it does not.
        """
        fits = same_samples(reference.schema, current.schema)
        if isinstance(self._plans.now.config.source, ReplaySource):
            fits = reference.schema == current.schema
        if not fits:
            raise BundleError(
                f"is for samples of another kind: {reference.schema.describe()}, the stream's so far are "
                f"{current.schema.describe()}",
                where=where,
                remedy="give the stream another name in the configuration, or put the right bundle there",
            )

    def _refuse(self, stream: str, details: str, *, requested: bool) -> None:
        """Report that the current reference stays; once for each reason."""
        if requested or self._refused.get(stream) != details:
            self._refused[stream] = details
            log.error("reference refused; the current one stays", stream=stream, error=details)
            self._observe(Reloaded("reference", "refused", stream, details))

    def _report(self, stream: str, outcome: Literal["taken_up", "unchanged"]) -> None:
        self._refused.pop(stream, None)
        self._observe(Reloaded("reference", outcome, stream))


def changes(before: DaemonConfig, config: DaemonConfig) -> Sequence[str]:
    """The changed keys of a configuration; for streams, their names. Values may be secret, and are left out."""
    keys = [
        f"{section}.{key}"
        for section in ("alerts", "references")
        for key in type(getattr(config, section)).model_fields
        if getattr(getattr(before, section), key) != getattr(getattr(config, section), key)
    ]
    names = dict.fromkeys(stream.name for stream in (*before.streams, *config.streams))
    streams = [f"streams.{name}" for name in names if before.stream(name) != config.stream(name)]
    return [*keys, *(["sinks"] if before.sinks != config.sinks else []), *streams]


def _listed(details: Sequence[str]) -> str:
    return ", ".join(details[:NAMED]) + (f" and {len(details) - NAMED} more" if details[NAMED:] else "")


def require_reloadable(before: DaemonConfig, config: DaemonConfig) -> None:
    """Reject a configuration that differs in what cannot change while the daemon runs.

    Raises:
        ConfigError: it does.
    """
    fixed = [
        name
        for name in DaemonConfig.model_fields
        if name not in RELOADED and getattr(before, name) != getattr(config, name)
    ]
    fixed += [
        f"alerts.{name}" for name in UNCHANGED_ALERTS if getattr(before.alerts, name) != getattr(config.alerts, name)
    ]
    if before.alerts_topic != config.alerts_topic:
        fixed.append("the alerts topic")
    if fixed:
        raise ConfigError(
            f"{', '.join(fixed)} cannot change while the daemon runs", remedy="restart it, or undo that change"
        )
