"""Other references and another configuration while the daemon runs.

They are found, verified and calibrated beside the work, and put in force as a whole or not at all.
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
from driftwatch.reference.mlflow_client import SCHEMES
from driftwatch.reference.reference import Reference, load_reference
from driftwatch.stream.events import Observer, Reloaded

LOOK_S = 0.3
"""Between two looks at whether something was asked for."""

NAMED = 10
"""Changes in one line of the log."""

WANTED_S = 2.0
"""Between two looks for a reference that panes wait for."""

log = structlog.get_logger("driftwatch.reload")


RELOADED = frozenset({"streams", "alerts", "sinks", "references"})
"""Sections of a configuration that may change while the daemon runs."""

UNCHANGED_ALERTS = ("examples",)
"""Settings of alerts that may not: they are of the score role, which has them from its start."""


@dataclass(frozen=True)
class Asked:
    """How a person asks for a reload.

    Args:
        hangup: asks for a look at everything.
        reread: gives the configuration as it is by then; None if it cannot have changed.
    """

    hangup: threading.Event = field(default_factory=threading.Event)
    reread: Callable[[], DaemonConfig] | None = None


class Reloading:
    """A role that looks for other references: every so often, on a hangup, and when panes wait for one.

    On a hangup it also looks for another configuration.

    Args:
        plans: whose present plan is replaced.
        device: to load references on.
        asked: by a person.
        prepare: makes ready what a plan needs that is to take the place of another, both of them calibrated; what it
            returns tells of the new one, and puts in force what is not in the plan itself.
        observer: told of what became of it.
    """

    name = "reload"

    def __init__(
        self,
        plans: Plans,
        device: str,
        asked: Asked,
        prepare: Callable[[Plan, Plan], Callable[[], None]],
        observer: Observer,
    ) -> None:
        self._plans = plans
        self._device = device
        self._prepare = prepare
        self._observe = observer
        self._asked = asked
        self._lock = threading.Lock()
        self._wanted: set[tuple[str, str]] = set()
        self._refused: dict[str, str] = {}

    def want(self, stream: str, version: str) -> None:
        """Asks for a stream's reference of a version."""
        with self._lock:
            self._wanted.add((stream, version))

    def run(self, stop: threading.Event) -> None:
        """Looks until `stop` is set."""
        looked = time.monotonic()
        sought: set[tuple[str, str]] = set()
        while not stop.wait(LOOK_S):
            asked = self._asked.hangup.is_set()
            self._asked.hangup.clear()
            before, sought = sought, self._missing()
            every_s = WANTED_S if sought else self._plans.now.config.references.watch_s
            if asked:
                self._reconfigure()
            if asked or sought - before or time.monotonic() - looked > every_s:
                self._look(sought, asked=asked)
                looked = time.monotonic()

    def _missing(self) -> set[tuple[str, str]]:
        """What is wanted and not here."""
        with self._lock:
            plan = self._plans.now
            self._wanted = {
                (stream, version)
                for stream, version in self._wanted
                if stream in plan.references and plan.find(stream, version) is None
            }
            return set(self._wanted)

    def _reconfigure(self) -> None:
        """Takes up another configuration, if there is one and all of it can be taken up."""
        if self._asked.reread is None:
            return
        plan = self._plans.now
        try:
            config = self._asked.reread()
            require_reloadable(plan.config, config)
            if config == plan.config:
                log.info("configuration unchanged")
                self._observe(Reloaded("configuration", "unchanged"))
                return
            loaded = plan.known()
            references = {stream.name: self._configured(stream, plan, loaded) for stream in config.streams}
            seconds = self._take_up(plan, make_plan(config, references, plan))
        except DriftwatchError as error:
            log.error("configuration refused; the one from before stays in force", error=str(error))
            self._observe(Reloaded("configuration", "refused", detail=str(error)))
        else:
            changed = _listed(changes(plan.config, config))
            log.info("configuration taken up", changed=changed, streams=len(config.streams), seconds=seconds)
            self._observe(Reloaded("configuration", "taken_up"))

    def _configured(self, stream: StreamConfig, plan: Plan, loaded: dict[str, Reference]) -> Reference:
        """The reference of a stream of another configuration: the present one, where its place is the same.

        Raises:
            DriftwatchError: there is none, or samples of the stream do not fit it.
        """
        before, present = plan.config.stream(stream.name), plan.references.get(stream.name)
        if before is not None and before.reference == stream.reference:
            return plan.references[stream.name]
        return self._at(stream, present, loaded, asked=True)

    def _look(self, sought: set[tuple[str, str]], *, asked: bool) -> None:
        """Takes up the references that are where they should be, and those that are sought."""
        plan = self._plans.now
        found, loaded = dict(plan.references), plan.known()
        wanted: list[tuple[str, Reference]] = []
        changed: list[str] = []
        for stream in plan.config.streams:
            present = plan.references[stream.name]
            try:
                reference = self._at(stream, present, loaded, asked=asked)
            except DriftwatchError as error:
                self._refuse(stream.name, str(error), asked=asked)
                continue
            if reference.version != present.version:
                found[stream.name] = reference
                changed.append(stream.name)
            elif asked or stream.name in self._refused:
                self._tell(stream.name, "unchanged")
        for name, version in sought - {(name, reference.version) for name, reference in found.items()}:
            wanted += self._beside(plan, name, version)
        if changed or wanted:
            seconds = self._take_up(plan, make_plan(plan.config, found, plan, wanted=wanted))
            taken = [*((name, found[name]) for name in changed), *wanted]
            told = [f"{name} {reference.version}" for name, reference in taken]
            log.info("references taken up", references=_listed(told), seconds=seconds)
        for name in changed:
            self._tell(name, "taken_up")

    def _take_up(self, plan: Plan, new: Plan) -> float:
        """Puts a plan in force; returns how many seconds that took."""
        started = time.monotonic()
        new.calibrate()
        put_in_force = self._prepare(plan, new)
        # What is told of streams that nobody has heard of is dropped, and much is told only once.
        put_in_force()
        self._plans.now = new
        new.factory.keep(new.known())
        return round(time.monotonic() - started, 2)

    def _at(
        self, stream: StreamConfig, present: Reference | None, loaded: dict[str, Reference], *, asked: bool
    ) -> Reference:
        """The reference where a stream's should be, if samples of the stream fit it.

        Raises:
            DriftwatchError: there is none.
        """
        place = stream.reference
        if isinstance(place, RemotePath) and place.scheme in SCHEMES:
            if present is not None and not asked:
                return present
            reference = load_reference(place, self._device)
        else:
            reference = loaded.get(peek_version(place)) or load_reference(place, self._device)
        if present is not None:
            self._require_fit(reference, present, str(place))
        return loaded.setdefault(reference.version, reference)

    def _beside(self, plan: Plan, stream: str, version: str) -> list[tuple[str, Reference]]:
        """The reference of a version, if it is in a folder beside that of the stream."""
        stated = plan.config.stream(stream)
        place = bundle_beside(stated.reference, version) if stated else None
        if place is None:
            return []
        try:
            reference = load_reference(place, self._device)
            self._require_fit(reference, plan.references[stream], str(place))
        except DriftwatchError as error:
            self._refuse(stream, str(error), asked=False)
            return []
        return [(stream, reference)]

    def _require_fit(self, reference: Reference, present: Reference, where: str) -> None:
        """Refuses a reference that does not read the samples that the present one reads.

        Raises:
            BundleError: it does not.
        """
        fits = same_samples(reference.schema, present.schema)
        if isinstance(self._plans.now.config.source, ReplaySource):
            fits = reference.schema == present.schema
        if not fits:
            raise BundleError(
                f"is for samples of another kind: {reference.schema.describe()}, the stream's so far are "
                f"{present.schema.describe()}",
                where=where,
                remedy="give the stream another name in the configuration, or put the right bundle there",
            )

    def _refuse(self, stream: str, told: str, *, asked: bool) -> None:
        """Tells that the present reference stays; once for each reason."""
        if asked or self._refused.get(stream) != told:
            self._refused[stream] = told
            log.error("reference refused; the present one stays", stream=stream, error=told)
            self._observe(Reloaded("reference", "refused", stream, told))

    def _tell(self, stream: str, outcome: Literal["taken_up", "unchanged"]) -> None:
        self._refused.pop(stream, None)
        self._observe(Reloaded("reference", outcome, stream))


def changes(before: DaemonConfig, config: DaemonConfig) -> Sequence[str]:
    """The keys of a configuration that are others by now; streams by their names. Values may be secret."""
    keys = [
        f"{section}.{key}"
        for section in ("alerts", "references")
        for key in type(getattr(config, section)).model_fields
        if getattr(getattr(before, section), key) != getattr(getattr(config, section), key)
    ]
    names = dict.fromkeys(stream.name for stream in (*before.streams, *config.streams))
    streams = [f"streams.{name}" for name in names if before.stream(name) != config.stream(name)]
    return [*keys, *(["sinks"] if before.sinks != config.sinks else []), *streams]


def _listed(told: Sequence[str]) -> str:
    return ", ".join(told[:NAMED]) + (f" and {len(told) - NAMED} more" if told[NAMED:] else "")


def require_reloadable(before: DaemonConfig, config: DaemonConfig) -> None:
    """Refuses a configuration that differs in what cannot change while the daemon runs.

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
            f"{', '.join(fixed)} cannot change while the daemon runs", remedy="restart it, or leave that as it was"
        )
