"""The results of a backtest for programs: columns of tables, and one JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.backtest.history import Alarm, History
from driftwatch.config import DaemonConfig
from driftwatch.stream.alert import rfc3339

Columns = Mapping[str, NDArray[Any]]

ALARM_TYPES: Mapping[str, type[np.generic]] = {
    "since_row": np.int64,
    "until_row": np.int64,
    "resolved": np.bool_,
    "since": np.str_,
    "until": np.str_,
    "severity": np.str_,
    "window": np.str_,
    "effect": np.float64,
    "largest": np.float64,
    "p_value": np.float64,
    "explanation": np.str_,
    "alert": np.str_,
}


def alarm_columns(history: History) -> Columns:
    """One row per alarm; an alarm that is still on lasts until the last row."""
    rows = [_alarm(each, history) for each in history.alarms]
    return {name: np.array([row[name] for row in rows], dtype=kind) for name, kind in ALARM_TYPES.items()}


def period_columns(history: History) -> Columns:
    """One row per period; columns of its windows end in ``_`` and the size, effects are in nats per sample."""
    periods = history.periods()
    columns: dict[str, NDArray[Any]] = {
        name: np.array([getattr(each, name) for each in periods], dtype=kind)
        for name, kind in {"name": np.str_, "samples": np.int64, "alarms": np.int64, "firing": np.float64}.items()
    }
    for size in history.sizes:
        by_period = [each.windows.get(size) for each in periods]
        for what in ("tested", "drifted"):
            columns[f"{what}_{size}"] = np.array([getattr(each, what) if each else 0 for each in by_period], np.int64)
        for what in ("median", "upper", "largest"):
            nats = [getattr(each, what) if each else np.nan for each in by_period]
            columns[f"{what}_{size}"] = np.array(nats, np.float64)
    columns["moved"] = np.array([each.moved for each in periods], dtype=np.str_)
    return columns


def window_columns(history: History) -> Columns:
    """One row per window, in the order of the tests."""
    columns = dict(history.windows)
    times = [rfc3339(each) if history.timed else "" for each in columns.pop("end_ms").tolist()]
    return {**columns, "end_time": np.array(times, dtype=np.str_)}


def to_json(history: History, config: DaemonConfig, stream: str) -> dict[str, Any]:
    """Everything except single windows, JSON-able."""
    control, reference = history.standard.procedure.control, history.reference
    low, high = history.false_alarms
    return {
        "stream": stream,
        "reference": {"name": reference.name, "version": reference.version},
        "samples": history.samples,
        "refused": history.refused,
        "start": rfc3339(history.first_ms) if history.timed else None,
        "end": rfc3339(history.last_ms) if history.timed else None,
        "windows": {"sizes": list(config.windows.sizes), "step": config.windows.step},
        "alarm_at_p": control.threshold,
        "min_effect": config.alerts.min_effect,
        "false_alarms": {"budget": history.samples / control.budget, "low": low, "high": high},
        "alarms": [_alarm(each, history) for each in history.alarms],
        "periods": [
            {**asdict(each), "windows": {str(size): asdict(figures) for size, figures in each.windows.items()}}
            for each in history.periods()
        ],
    }


def _alarm(alarm: Alarm, history: History) -> dict[str, Any]:
    until = rfc3339(alarm.until_ms) if alarm.until_ms is not None else ""
    return {
        **asdict(alarm),
        "until_row": history.rows if alarm.until_row is None else alarm.until_row,
        "resolved": alarm.until_row is not None,
        "since": rfc3339(alarm.since_ms) if history.timed else "",
        "until": until if history.timed else "",
    }
