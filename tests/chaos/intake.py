"""Faults against a daemon that takes samples in by HTTP.

No log has what was accepted. But what a daemon's state counts must be what it accepted up to some moment, in order and
once, and all that follows from it: windows, alarms, the state itself, to the byte. And the alerts of it are told.
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
from tests.broker.broker import free_ports
from tests.chaos.poster import STREAM, Messages, Poster, Posting, number_at
from tests.chaos.replay import REPLAY_FAULTS
from tests.daemons import Launch, RunningDaemon, launch
from tests.receiver import Receiver, receiver

STOP = "stop"
WEIGHTS = {"kill -9": 3, STOP: 1, "full disk, then kill -9": 1, "full disk for a while, then kill -9": 1}
"""Of faults that a replay has, too."""


@dataclass(frozen=True)
class Life:
    """Of one process.

    Args:
        posted: what it accepted, in order; the last may not have been.
        state: that it left.
        killed_s: when it was killed, monotonic seconds; None if it was stopped.
    """

    posted: Sequence[Posting]
    state: bytes
    killed_s: float | None


@dataclass(frozen=True)
class IntakeOutcome:
    """What a run came to.

    Args:
        struck: faults by their kind.
        accepted: messages.
        forgotten: of these, how many died with a process that was killed.
        oldest_s: the longest that one of those had been accepted before, seconds.
        left: of these, how many a process that was stopped left undone.
        alerts: of what is counted.
        untold: of these, how many were not delivered.
        surplus: alerts that were delivered more than once, or that a killed process had not yet in its state.
        exact: whether each state is the oracle's, to the byte.
    """

    struck: Mapping[str, int]
    accepted: int
    forgotten: int
    oldest_s: float
    left: int
    alerts: int
    untold: int
    surplus: int
    exact: bool

    @property
    def kept(self) -> bool:
        """Whether what the documentation promises was kept."""
        kills = sum(self.struck.values()) - self.struck.get(STOP, 0)
        return self.exact and not self.untold and not self.left and self.surplus <= kills


def intake_config(bundle: Path, state_dir: Path, hook: str, port: int) -> dict[str, Any]:
    """A daemon's configuration."""
    return {
        "source": {"kind": "http"},
        "streams": [{"name": STREAM, "reference": str(bundle)}],
        "windows": {"sizes": [20, 100, "20s"], "step": 10, "out_of_order": "2s"},
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
    longest_s: float,
    start: Launch = launch,
) -> IntakeOutcome:
    """Runs an intake through faults, and compares the state that each process left with the oracle's.

    Args:
        bundle: the reference of the stream.
        folder: for configurations, logs and states.
        faults: their kinds in turn; one that is None is drawn. In the end the daemon is stopped.
        seed: of faults and samples.
        longest_s: between the readiness of a process and its fault.
        start: starts a daemon.
    """
    draw, messages, lives = random.Random(seed), Messages(seed), list[Life]()
    (port,) = free_ports(1)

    def pause() -> None:
        threading.Event().wait(draw.uniform(0, longest_s))

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
            with poster.taken() as posted:
                killed_s = None if kind == STOP else time.monotonic()
                lives.append(Life(posted, _state(config).read_bytes() if _state(config).exists() else b"", killed_s))
        oracle = _Oracle(config, folder / "intake-oracle.json", messages)
        counted = [oracle.live(life, before) for before, life in pairwise([Life((), b"", None), *lives])]
        told = _told(hook, set(oracle.alerts), lambda: start(config, folder, "intake-last"))
    gone = [(life, life.posted[count:]) for life, count in zip(lives, counted, strict=True)]
    forgotten = [(life.killed_s - each.at) for life, rest in gone if life.killed_s for each in rest if each.answered]
    return IntakeOutcome(
        Counter(drawn),
        accepted=sum(each.answered for life in lives for each in life.posted),
        forgotten=len(forgotten),
        oldest_s=max(forgotten, default=0.0),
        left=sum(each.answered for life, rest in gone if life.killed_s is None for each in rest),
        alerts=len(oracle.alerts),
        untold=len(set(oracle.alerts) - set(told)),
        surplus=len(told) - len(set(told) & set(oracle.alerts)),
        exact=oracle.exact,
    )


class _Oracle:
    """The same in this process: what each state counts, from the first message to the last."""

    def __init__(self, config: Mapping[str, Any], path: Path, messages: Messages) -> None:
        self._config = DaemonConfig.model_validate(config)
        references = load_references(self._config)
        self._plans = Plans(make_plan(self._config, {STREAM: references[str(self._config.streams[0].reference)]}))
        self._path, self._messages = path, messages
        self.alerts: list[str] = []
        self.exact = True

    def live(self, life: Life, before: Life) -> int:
        """Goes through what the state of a life counts; gives how many of its messages that are."""
        if life.state == before.state:
            return 0
        self._path.with_suffix(".found").write_bytes(life.state)
        found, left = load_snapshot(self._path.with_suffix(".found")), load_snapshot(self._path)
        assert found is not None
        begin = _begin(found, life.posted, left.position.seen if left else 0)
        count = found.position.seen - begin
        left = left or Snapshot(found.started_ms)
        windows = self._config.windows
        examples = example_rule(self._config.alerts)
        stages = LocalStages(
            ScoreStage(self._plans.routes(), windows.step, tick_ms=windows.tick_ms, examples=examples),
            self._plans.find,
            (TOPIC, 0),
            replace(left, position=Position(begin, begin)),
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


def _begin(state: Snapshot, posted: Sequence[Posting], before: int) -> int:
    """The offset of a life's first message, which only its state tells: by a message that is known by its time."""
    places = {each.number: place for place, each in enumerate(posted)}
    for pane in map(decode_pane, reversed(state.panes)):
        if pane.last[0] >= before:
            return pane.last[0] - places[number_at(pane.end_ms)]
    # No pane is full yet, so the first message's samples wait.
    return state.position.marks[STREAM][0]


def _told(hook: Receiver, expected: set[str], again: Callable[[], RunningDaemon]) -> list[str]:
    """Ids of the alerts that were delivered; a daemon is started once more if some are not yet."""

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


def _ready(port: int) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=10).status_code == httpx.codes.OK
    return False


def _state(config: Mapping[str, Any]) -> Path:
    return Path(config["state_dir"]) / "intake.json"
