"""Bounded memory for the status page: rows of numbers, the lowest p-values of a day, rates."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, list[float | None]]


class Ring:
    """The last rows of numbers, up to a fixed count.

    Args:
        names: of the columns.
        room: number of rows.
    """

    def __init__(self, names: Sequence[str], room: int) -> None:
        self._names = tuple(names)
        self._rows: NDArray[np.float64] = np.empty((room, len(self._names)))
        self._count = 0

    def add(self, *values: float) -> None:
        """Add a row; if there is no more room, it replaces the oldest."""
        self._rows[self._count % len(self._rows)] = values
        self._count += 1

    def array(self) -> NDArray[np.float64]:
        """The rows, oldest first."""
        return self._rows[: self._count] if self._count < len(self._rows) else np.roll(self._rows, -self._count, axis=0)

    def columns(self) -> Columns:
        """The columns by name, oldest row first; None for values that are not finite."""
        return {name: list(map(finite, column)) for name, column in zip(self._names, self.array().T, strict=True)}

    def last(self) -> dict[str, float | None]:
        """The newest row; there must be one."""
        row = self._rows[(self._count - 1) % len(self._rows)]
        return {name: finite(value) for name, value in zip(self._names, row, strict=True)}


class Spans:
    """The lowest value in each span of event time, for the newest spans.

    Args:
        span_ms: length of a span.
        room: number of spans.
    """

    def __init__(self, span_ms: int, room: int) -> None:
        self.span_ms = span_ms
        self._room = room
        self._lowest: dict[int, float] = {}

    def add(self, time_ms: int, value: float) -> None:
        """Add a value; values of spans that are too old are dropped."""
        number = time_ms // self.span_ms
        self._lowest[number] = min(value, self._lowest.get(number, value))
        if len(self._lowest) > self._room:
            del self._lowest[min(self._lowest)]

    def columns(self) -> Columns:
        """``end_ms`` and ``p_value`` of each span, oldest first; empty spans are left out."""
        numbers = sorted(self._lowest)
        ends: list[float | None] = [(number + 1) * self.span_ms for number in numbers]
        return {"end_ms": ends, "p_value": [finite(self._lowest[number]) for number in numbers]}


class Rate:
    """Counts in recent spans of clock time.

    Args:
        span_s: length of a span.
        room: number of spans.
        clock: monotonic, seconds.
    """

    def __init__(self, span_s: float, room: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.span_s = span_s
        self._clock = clock
        self._began = self._now()
        self._at = self._began
        self._counts: NDArray[np.int64] = np.zeros(room, dtype=np.int64)

    def add(self, count: int) -> None:
        """Count more that came now."""
        self._advance()
        self._counts[self._at % len(self._counts)] += count

    def counts(self, newest: int | None = None) -> list[int]:
        """Counts of complete spans, oldest first: of the newest `newest`, or all.

        The current span and those before the start are left out.
        """
        self._advance()
        room = len(self._counts) - 1
        complete = min(self._at - self._began, room if newest is None else newest)
        return [int(self._counts[(self._at - back) % len(self._counts)]) for back in range(complete, 0, -1)]

    def per_second(self, spans: int) -> float:
        """Mean over the newest complete spans."""
        newest = self.counts(spans)
        return sum(newest) / (len(newest) * self.span_s) if newest else 0.0

    def _now(self) -> int:
        return int(self._clock() // self.span_s)

    def _advance(self) -> None:
        now = self._now()
        for number in range(self._at + 1, min(now, self._at + len(self._counts)) + 1):
            self._counts[number % len(self._counts)] = 0
        self._at = now


def finite(value: float) -> float | None:
    """The value for JSON: None if it is not finite."""
    return float(value) if math.isfinite(value) else None
