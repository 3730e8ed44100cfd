"""Moments within a transaction, as the network sees them, and a snare that holds a daemon's connection at one."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HOLD_S = 20.0
"""The longest time a connection is held, in case it is never released."""

PRODUCE, ADD_OFFSETS, END_TRANSACTION, COMMIT_OFFSETS = 0, 25, 26, 28
"""API keys of the requests that make up a transaction (https://kafka.apache.org/protocol)."""

HEAD = 300
"""Bytes of a request that contain the transactional id: it is the first field after the header."""

IDENTITY = re.compile(rb"\.(?:score|test)\.([\w-]+)")


@dataclass(frozen=True)
class Moment:
    """A moment at which a request of a transaction is in flight.

    Args:
        key: of the request.
        arrived: whether the broker has received it, and the answer is held; otherwise the request itself is held.
    """

    key: int
    arrived: bool


MOMENTS = tuple(
    Moment(key, arrived) for key in (PRODUCE, ADD_OFFSETS, COMMIT_OFFSETS, END_TRANSACTION) for arrived in (False, True)
)


class Requests:
    """Reassembles requests from pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yields the requests that are complete by now, each with its length prefix."""
        self._rest += data
        while len(self._rest) >= 4 and len(self._rest) >= (size := 4 + int.from_bytes(self._rest[:4])):
            request, self._rest = self._rest[:size], self._rest[size:]
            yield request


@dataclass
class _Trap:
    moment: Moment
    caught: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    instance: str = ""


class Snare:
    """Holds the first connection that reaches a moment, until it is released. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trap: _Trap | None = None

    @contextmanager
    def at(self, moment: Moment, patience_s: float) -> Iterator[str | None]:
        """Wait for the moment.

        Yields:
            The last part of the transactional id on the held connection; None if none reached the moment in time.
        """
        trap = _Trap(moment)
        with self._lock:
            self._trap = trap
        try:
            yield trap.instance if trap.caught.wait(patience_s) else None
        finally:
            with self._lock:
                self._trap = None
            trap.released.set()

    @contextmanager
    def passing(self, request: bytes) -> Iterator[None]:
        """Forwards a request within the block, which is held before or afterwards if it is the one waited for."""
        trap = self._claim(request)
        if trap and not trap.moment.arrived:
            trap.caught.set()
            trap.released.wait(HOLD_S)
        yield
        if trap and trap.moment.arrived:
            trap.caught.set()
            trap.released.wait(HOLD_S)

    def _claim(self, request: bytes) -> _Trap | None:
        with self._lock:
            trap = self._trap
            if trap is None or trap.instance or int.from_bytes(request[4:6]) != trap.moment.key:
                return None
            found = IDENTITY.search(request[:HEAD])
            if found is None:
                return None
            trap.instance = found[1].decode()
            return trap
