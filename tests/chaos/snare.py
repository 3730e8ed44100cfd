"""Moments inside a transaction, as the network sees them, and a snare that holds a daemon's connection at one."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HOLD_S = 20.0
"""The longest that a connection is held, should nobody let it go."""

PRODUCE, ADD_OFFSETS, END_TRANSACTION, COMMIT_OFFSETS = 0, 25, 26, 28
"""Keys of the requests that a transaction is made of (https://kafka.apache.org/protocol)."""

HEAD = 300
"""Bytes of a request in which the transactional id is: after the header it comes first."""

IDENTITY = re.compile(rb"\.(?:score|test)\.([\w-]+)")


@dataclass(frozen=True)
class Moment:
    """One at which a request of a transaction is on its way.

    Args:
        key: of the request.
        arrived: whether the broker has it already, and its answer is held; else the request itself is.
    """

    key: int
    arrived: bool


MOMENTS = tuple(
    Moment(key, arrived) for key in (PRODUCE, ADD_OFFSETS, COMMIT_OFFSETS, END_TRANSACTION) for arrived in (False, True)
)


class Requests:
    """Puts requests together again that come in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The requests that are whole by now, each with its length before it."""
        self._rest += data
        while len(self._rest) >= 4 and len(self._rest) >= (size := 4 + int.from_bytes(self._rest[:4])):
            request, self._rest = self._rest[:size], self._rest[size:]
            yield request


@dataclass
class _Set:
    moment: Moment
    caught: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    instance: str = ""


class Snare:
    """Holds the first connection that comes to a moment, until it is let go. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set: _Set | None = None

    @contextmanager
    def at(self, moment: Moment, patience_s: float) -> Iterator[str | None]:
        """Waits for the moment.

        Yields:
            Whose it is: the end of its transactional id; None if nobody came to it in time.
        """
        trap = _Set(moment)
        with self._lock:
            self._set = trap
        try:
            yield trap.instance if trap.caught.wait(patience_s) else None
        finally:
            with self._lock:
                self._set = None
            trap.released.set()

    @contextmanager
    def passing(self, request: bytes) -> Iterator[None]:
        """A request is passed on within; it is held before or after that, if it is what is waited for."""
        trap = self._claim(request)
        if trap and not trap.moment.arrived:
            trap.caught.set()
            trap.released.wait(HOLD_S)
        yield
        if trap and trap.moment.arrived:
            trap.caught.set()
            trap.released.wait(HOLD_S)

    def _claim(self, request: bytes) -> _Set | None:
        with self._lock:
            trap = self._set
            if trap is None or trap.instance or int.from_bytes(request[4:6]) != trap.moment.key:
                return None
            found = IDENTITY.search(request[:HEAD])
            if found is None:
                return None
            trap.instance = found[1].decode()
            return trap
