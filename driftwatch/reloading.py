"""Another reference while the daemon runs: found, verified and calibrated beside the work, then taken up as a whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

import structlog

from driftwatch.config import ReplaySource, StreamConfig
from driftwatch.data.schema import same_samples
from driftwatch.errors import BundleError, DriftwatchError
from driftwatch.locations import RemotePath
from driftwatch.plan import Plan, Plans, make_plan
from driftwatch.reference.bundle import bundle_beside, peek_version
from driftwatch.reference.mlflow_client import SCHEMES
from driftwatch.reference.reference import Reference, load_reference
from driftwatch.stream.events import Observer, Reloaded

LOOK_S = 0.3
"""Between two looks at whether something was asked for."""

WANTED_S = 2.0
"""Between two looks for a reference that panes wait for."""

log = structlog.get_logger("driftwatch.reload")


class Reloading:
    """A role that looks for other references: every so often, on a hangup, and when panes wait for one.

    Args:
        plans: whose present plan is replaced.
        device: to load references on.
        hangup: asks for a look at everything.
        announce: tells of a plan that is about to take the place of another, both of them calibrated.
        observer: told of what became of it.
    """

    name = "reload"

    def __init__(
        self,
        plans: Plans,
        device: str,
        hangup: threading.Event,
        announce: Callable[[Plan, Plan], None],
        observer: Observer,
    ) -> None:
        self._plans = plans
        self._device = device
        self._announce = announce
        self._observe = observer
        self._hangup = hangup
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
            asked = self._hangup.is_set()
            self._hangup.clear()
            before, sought = sought, self._missing()
            every_s = WANTED_S if sought else self._plans.now.config.references.watch_s
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
            self._take_up(plan, make_plan(plan.config, found, plan, wanted=wanted))
        for name in changed:
            self._tell(name, "taken_up")

    def _take_up(self, plan: Plan, new: Plan) -> None:
        started = time.monotonic()
        new.calibrate()
        self._announce(plan, new)
        self._plans.now = new
        new.factory.keep(new.known())
        log.info("references taken up", seconds=round(time.monotonic() - started, 2))

    def _at(self, stream: StreamConfig, present: Reference, loaded: dict[str, Reference], *, asked: bool) -> Reference:
        """The reference where a stream's should be, if samples of the stream fit it.

        Raises:
            DriftwatchError: there is none.
        """
        place = stream.reference
        if isinstance(place, RemotePath) and place.scheme in SCHEMES:
            if not asked:
                return present
        elif (version := peek_version(place)) in loaded:
            return loaded[version]
        reference = self._fitting(load_reference(place, self._device), present, str(place))
        return loaded.setdefault(reference.version, reference)

    def _beside(self, plan: Plan, stream: str, version: str) -> list[tuple[str, Reference]]:
        """The reference of a version, if it is in a folder beside that of the stream."""
        stated = plan.config.stream(stream)
        place = bundle_beside(stated.reference, version) if stated else None
        if place is None:
            return []
        try:
            return [(stream, self._fitting(load_reference(place, self._device), plan.references[stream], str(place)))]
        except DriftwatchError as error:
            self._refuse(stream, str(error), asked=False)
            return []

    def _fitting(self, reference: Reference, present: Reference, where: str) -> Reference:
        """The reference, if it reads the samples that the present one reads.

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
        return reference

    def _refuse(self, stream: str, told: str, *, asked: bool) -> None:
        """Tells that the present reference stays; once for each reason."""
        if asked or self._refused.get(stream) != told:
            self._refused[stream] = told
            log.error("reference refused; the present one stays", stream=stream, error=told)
            self._observe(Reloaded("reference", "refused", stream, told))

    def _tell(self, stream: str, outcome: Literal["taken_up", "unchanged"]) -> None:
        self._refused.pop(stream, None)
        self._observe(Reloaded("reference", outcome, stream))
