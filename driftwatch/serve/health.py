"""Whether the daemon is alive, and whether it works: ``/healthz`` and ``/readyz``."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from threading import Lock
from typing import Any

from driftwatch.stream.events import (
    Event,
    MessagesGone,
    Progress,
    ReferenceAwaited,
    ReferenceInUse,
    Reloaded,
    StateKept,
    StreamsConfigured,
)
from driftwatch.stream.log import Partition

FINE = "ok"


@dataclass
class _Role:
    """What is known of a role: why it has no source, when it last polled, and what ended it."""

    lost: str | None = "is not connected yet"
    last_poll_s: float | None = None
    death: str | None = None


class Health:
    """An observer that derives the daemon's health from the stages' events. Thread-safe.

    Args:
        roles: the roles that run: ``score``, ``test``, ``replay``, ``intake`` or ``forward``.
        stall_after_s: seconds without a poll of its source after which a role counts as stalled.
        clock: monotonic, seconds.
    """

    def __init__(
        self, roles: Collection[str], stall_after_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._roles = {role: _Role() for role in roles}
        self._stall_after_s, self._clock = stall_after_s, clock
        self._expected: frozenset[str] | None = None
        self._in_use: set[str] = set()
        self._refused: dict[tuple[str, str], str] = {}
        self._awaited: set[tuple[str, str]] = set()
        self._gone: Counter[Partition] = Counter()
        self._state_trouble = ""
        self._lock = Lock()

    def expect(self, streams: Collection[str]) -> None:
        """Set the streams that need a reference; the daemon is not ready before this is called."""
        with self._lock:
            self._expect(streams)

    def role_died(self, role: str, error: BaseException) -> None:
        """Record that a role's thread has ended with an error, for good."""
        with self._lock:
            self._roles.setdefault(role, _Role()).death = f"died: {type(error).__name__}: {error}"

    def role_done(self, role: str) -> None:
        """Record that a role has finished, as a replay does: it is neither lost nor stalled."""
        with self._lock:
            if role in self._roles:
                self._roles[role] = _Role(lost=None, last_poll_s=math.inf)

    def __call__(self, event: Event) -> None:
        """Update from an event; a `Progress` without a role applies to every role."""
        with self._lock:
            match event:
                case ReferenceInUse():
                    self._in_use.add(event.stream)
                case StreamsConfigured():
                    self._expect(event.streams)
                case Reloaded():
                    self._refused.pop((event.what, event.stream), None)
                    if event.outcome == "refused":
                        self._refused[event.what, event.stream] = event.detail
                case MessagesGone():
                    self._gone[event.topic, event.partition] += event.count
                case StateKept():
                    self._state_trouble = event.trouble
                case ReferenceAwaited():
                    change = self._awaited.add if event.waiting else self._awaited.discard
                    change((event.stream, event.version))
                case Progress():
                    for name, role in self._roles.items():
                        if event.role in ("", name):
                            self._progress(role, event)

    def alive(self) -> tuple[bool, dict[str, Any]]:
        """Whether every role still runs; if not, what is wrong."""
        with self._lock:
            return _report({"roles": self._dead()})

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether every stream has its reference and every role is reading; if not, what is wrong.

        Refused reloads and awaited references are only remarks: the daemon works on with what it has.
        """
        with self._lock:
            ok, report = _report(
                {
                    "roles": self._dead(),
                    "references": self._unreferenced(),
                    "source": _join({name: role.lost for name, role in self._roles.items()}),
                    "progress": self._stalled(),
                }
            )
            remarks = self._remarks()
        return ok, {**report, "remarks": remarks} if remarks else report

    def _expect(self, streams: Collection[str]) -> None:
        self._expected = frozenset(streams)
        self._refused = {of: why for of, why in self._refused.items() if of[1] in ("", *streams)}

    def _remarks(self) -> list[str]:
        refused = [
            f"{f'stream {stream}: ' if stream else ''}another {what} was refused: {why}"
            for (what, stream), why in sorted(self._refused.items())
        ]
        awaited = [
            f"stream {stream}: panes wait for reference {version}, which is missing here"
            for stream, version in sorted(self._awaited)
        ]
        gone = [
            f"{count:,} offsets of {topic}/{partition} were gone before they were read"
            for (topic, partition), count in sorted(self._gone.items())
        ]
        return refused + awaited + gone + ([self._state_trouble] if self._state_trouble else [])

    def _progress(self, role: _Role, event: Progress) -> None:
        if event.kind == "source_lost":
            role.lost = f"has lost its connection: {event.detail}" if event.detail else "has lost its connection"
            return
        role.last_poll_s = self._clock()
        if event.kind == "source_connected":
            role.lost = None

    def _dead(self) -> str:
        return _join({name: role.death for name, role in self._roles.items()})

    def _unreferenced(self) -> str:
        if self._expected is None:
            return "references are not loaded yet"
        missing = sorted(self._expected - self._in_use)
        return f"no reference in use yet for {', '.join(missing)}" if missing else FINE

    def _stalled(self) -> str:
        now = self._clock()
        words: dict[str, str | None] = {}
        for name, role in self._roles.items():
            if role.last_poll_s is None:
                words[name] = "has not polled its source yet"
            elif (idle_s := now - role.last_poll_s) > self._stall_after_s:
                words[name] = f"stalled: last polled its source {idle_s:.0f} s ago, more than {self._stall_after_s:g} s"
        return _join(words)


def _join(troubles: dict[str, str | None]) -> str:
    return "; ".join(f"{role} {trouble}" for role, trouble in troubles.items() if trouble) or FINE


def _report(checks: dict[str, str]) -> tuple[bool, dict[str, Any]]:
    ok = all(words == FINE for words in checks.values())
    return ok, {"status": FINE if ok else "failing", "checks": checks}
