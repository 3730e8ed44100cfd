"""Periods of time for which a backtest reports figures, and their names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

By = Literal["auto", "hour", "day", "week", "month"]

_NAMES = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}
MOST_DAYS = 62
"""With more days than this, ``auto`` reports months."""

MONTH = len("2026-11")


def period_name(time_ms: int, by: By) -> str:
    """The name of the UTC period that contains a time; sorting names of one kind sorts the periods.

    >>> [period_name(1_795_737_600_000, by) for by in ("hour", "auto", "week", "month")]
    ['2026-11-27 00:00', '2026-11-27', '2026-W48', '2026-11']
    """
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime(_NAMES["day" if by == "auto" else by])
