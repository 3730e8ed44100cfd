"""Faults against a daemon that receives samples over HTTP.

There is no log of what was accepted. But what a daemon's state counts must be what it accepted up to some moment, in
order and once, and everything derived from it must match to the byte: windows, alarms, the state itself. The alerts
that it counts must have been delivered.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import orjson

from driftwatch.config import DaemonConfig
from driftwatch.daemon import load_references
from driftwatch.plan import Plans, make_plan
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.intake import TOPIC, Posted, record_of
from driftwatch.stream.local import LocalStages
from driftwatch.stream.log import Record
from driftwatch.stream.pane_codec import decode_pane
from driftwatch.stream.positions import Position
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.snapshot import Snapshot, load_snapshot
from driftwatch.stream.standards import example_rule
from tests import plain_http
from tests.broker.broker import free_ports
from tests.chaos.poster import STREAM, Messages, Poster, Posting, number_at
from tests.chaos.replay import REPLAY_FAULTS
from tests.daemons import Launch, RunningDaemon, launch
from tests.receiver import Receiver, receiver

WINDOWS: tuple[int | str, ...] = 20, 100, "20s"
STOP = "stop"
LEFT = "stopped with requests that are not scored"
WEIGHTS = {"kill -9": 3, STOP: 1, "full disk, then kill -9": 1, "full disk for a while, then kill -9": 1}
"""Weights of the faults, all of which a replay has too."""


@dataclass(frozen=True)
class ProcessLife:
    """The life of one process.

    Args:
        posted: what it accepted, in order; the last message may not have been accepted.
        state: the state file that it left.
        killed_s: when it was killed, monotonic seconds; None if it was stopped.
        left: how many accepted messages it said, when it was stopped, that it left unprocessed.
    """

    posted: Sequence[Posting]
    state: bytes
    killed_s: float | None
    left: int = 0


@dataclass(frozen=True)
class IntakeOutcome:
    """The outcome of a run.

    Args:
        struck: the number of faults, by kind.
        accepted: the number of accepted messages.
        forgotten: how many of these were lost with a process that was killed.
        oldest_s: the longest time between the acceptance of such a message and the kill, seconds.
        unprocessed: how many accepted messages a process that was stopped left unprocessed.
        unreported: how many of these it did not report in its log.
        alerts: the number of alerts that states count.
        undelivered: how many of these were not delivered.
        surplus: alerts that were delivered more than once, or before a killed process had saved them in its state.
        exact: whether each state equals the oracle's, to the byte.
    """

    struck: Mapping[str, int]
    accepted: int
    forgotten: int
    oldest_s: float
    unprocessed: int
    unreported: int
    alerts: int
    undelivered: int
    surplus: int
    exact: bool

    @property
    def kept(self) -> bool:
        """Whether the promises of the documentation were kept."""
        kills = sum(self.struck.values()) - self.struck.get(STOP, 0)
        return self.exact and not self.undelivered and not self.unreported and self.surplus <= kills


def intake_config(bundle: Path, state_dir: Path, hook: str, port: int) -> dict[str, Any]:
    """A daemon's configuration."""
    return {
        "source": {"kind": "http"},
        "streams": [{"name": STREAM, "reference": str(bundle)}],
        "windows": {"sizes": [*WINDOWS], "step": 10, "out_of_order": "2s"},
        "sinks": [{"kind": "webhook", "url": hook}],
        "server": {"port": port},
        "state_dir": str(state_dir),
    }


def run_intake(
    bundle: Path,
    folder: Path,
    *,
    faults: Sequence[str | None],
    seed: int,
    longest_delay_s: float,
    start: Launch = launch,
) -> IntakeOutcome:
    """Run an intake through faults, and compare the state that each process left with the oracle's.

    Args:
        bundle: the stream's reference.
        folder: for configurations, logs and states.
        faults: their kinds in turn, None for one to be drawn; at the end the daemon is stopped.
        seed: of faults and samples.
        longest_delay_s: the longest time between the readiness of a process and its fault.
        start: starts a daemon.
    """
    draw, messages, lives = random.Random(seed), Messages(seed), list[ProcessLife]()
    (port,) = free_ports(1)

    def pause() -> None:
        threading.Event().wait(draw.uniform(0, longest_delay_s))

    drawn = [stated or draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0] for stated in faults]
    with receiver() as hook:
        config = intake_config(bundle, folder / "intake", hook.url, port)
        poster = Poster(port, messages)
        poster.start()
        for number, kind in enumerate([*drawn, STOP]):
            daemon = start(config, folder, f"intake-{number:03}")
            try:
                daemon.wait_for("readiness", lambda: _ready(port))
                pause()
                if number == len(drawn):
                    poster.end()
                REPLAY_FAULTS[kind](daemon, pause)
            finally:
                daemon.process.kill()
            with poster.take_posted() as posted:
                killed_s = None if kind == STOP else time.monotonic()
                state = _state(config).read_bytes() if _state(config).exists() else b""
                lives.append(ProcessLife(posted, state, killed_s, _left(daemon)))
        oracle = _Oracle(config, folder / "intake-oracle.json", messages)
        counted = [oracle.live(life, before) for before, life in pairwise([ProcessLife((), b"", None), *lives])]
        delivered_ids = _delivered(hook, set(oracle.alerts), lambda: start(config, folder, "intake-last"))
    uncounted = [(life, life.posted[count:]) for life, count in zip(lives, counted, strict=True)]
    forgotten = [
        (life.killed_s - each.at) for life, rest in uncounted if life.killed_s for each in rest if each.answered
    ]
    unprocessed = [(life, sum(each.answered for each in rest)) for life, rest in uncounted if life.killed_s is None]
    return IntakeOutcome(
        Counter(drawn),
        accepted=sum(each.answered for life in lives for each in life.posted),
        forgotten=len(forgotten),
        oldest_s=max(forgotten, default=0.0),
        unprocessed=sum(count for _, count in unprocessed),
        # It may also have left messages whose sender got no answer, which are not counted here.
        unreported=sum(max(0, count - life.left) for life, count in unprocessed),
        alerts=len(oracle.alerts),
        undelivered=len(set(oracle.alerts) - set(delivered_ids)),
        surplus=len(delivered_ids) - len(set(delivered_ids) & set(oracle.alerts)),
        exact=oracle.exact,
    )


class _Oracle:
    """Computes in this process, from the first message to the last, what each state should be."""

    def __init__(self, config: Mapping[str, Any], path: Path, messages: Messages) -> None:
        self._config = DaemonConfig.model_validate(config)
        references = load_references(self._config)
        self._plans = Plans(make_plan(self._config, {STREAM: references[str(self._config.streams[0].reference)]}))
        self._path, self._messages = path, messages
        self.alerts: list[str] = []
        self.exact = True

    def live(self, life: ProcessLife, before: ProcessLife) -> int:
        """Process what the state of a life counts; returns how many of its messages that is."""
        if life.state == before.state:
            return 0
        self._path.with_suffix(".found").write_bytes(life.state)
        found, previous = load_snapshot(self._path.with_suffix(".found")), load_snapshot(self._path)
        assert found is not None
        begin = _first_offset(found, life.posted, previous.position.seen if previous else 0)
        count = found.position.seen - begin
        previous = previous or Snapshot(found.started_ms)
        windows = self._config.windows
        examples = example_rule(self._config.alerts)
        stages = LocalStages(
            ScoreStage(self._plans.routes(), windows.step, tick_ms=windows.tick_ms, examples=examples),
            self._plans.find,
            (TOPIC, 0),
            replace(previous, position=Position(begin, begin)),
            on_alert=self._note,
            observer=lambda event: None,
            path=self._path,
        )
        queue = deque(self._record(each, begin + place) for place, each in enumerate(life.posted[:count]))
        while queue:
            stages.work(queue, lambda: False)
        stages.save()
        self.exact = self.exact and self._path.read_bytes() == life.state
        return count

    def _record(self, posting: Posting, offset: int) -> Record:
        body, headers = self._messages[posting.number]
        raw = tuple((name.encode(), value.encode()) for name, value in headers.items())
        source = self._config.source
        assert source.kind == "http"
        record = record_of(Posted(body, raw, "", int(time.time() * 1000)), offset, source, STREAM)
        assert record is not None
        return record

    def _note(self, alert: Announcement) -> None:
        self.alerts.append(alert.id)


def _first_offset(state: Snapshot, posted: Sequence[Posting], before: int) -> int:
    """The offset of a life's first message, known only from its state: by a message identified by its time."""
    places = {each.number: place for place, each in enumerate(posted)}
    for pane in map(decode_pane, reversed(state.panes)):
        if pane.last[0] >= before:
            return pane.last[0] - places[number_at(pane.end_ms)]
    # No pane is full yet, so the samples of the first message are still waiting.
    return state.position.marks[STREAM][0]


def _delivered(hook: Receiver, expected: set[str], again: Callable[[], RunningDaemon]) -> list[str]:
    """Ids of the delivered alerts; the daemon is started once more if some are missing."""

    def ids() -> list[str]:
        return [orjson.loads(each.body)["id"] for each in list(hook.received)]

    if expected - set(ids()):
        daemon = again()
        try:
            daemon.wait_for("the last alerts", lambda: not expected - set(ids()))
            daemon.stop()
        finally:
            daemon.process.kill()
    return ids()


def _left(daemon: RunningDaemon) -> int:
    """How many accepted messages the log of a process says that it left unprocessed: it has little time to stop."""
    return sum(line["messages"] for line in daemon.lines() if line["event"] == LEFT)


def _ready(port: int) -> bool:
    with suppress(httpx.TransportError):
        return plain_http.get(f"http://127.0.0.1:{port}/readyz").status_code == httpx.codes.OK
    return False


def _state(config: Mapping[str, Any]) -> Path:
    return Path(config["state_dir"]) / "intake.json"
