"""The alerts that currently fire: alerts folded into the state that Alertmanager must have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from driftwatch.errors import SinkError
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.state_file import write_whole

RESOLVED_TOLD_MS = 15 * 60_000
"""How long the end of an alert is sent repeatedly, as Prometheus does: a receiver that was away still gets it."""


@dataclass(frozen=True)
class Series:
    """One alert as Alertmanager identifies it: by its labels; everything else may change.

    Args:
        stream: that it is about.
        labels: by name.
        annotations: by name.
        starts_ms: when it started to fire, milliseconds since the epoch.
        ends_ms: when it ended; None while it fires.
        told_until_ms: when its end need no longer be sent; None while it fires.
    """

    stream: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_ms: int
    ends_ms: int | None = None
    told_until_ms: int | None = None


Describe = Callable[[Announcement], tuple[Mapping[str, str], Mapping[str, str]]]
"""Returns labels and annotations of an alert."""


class Standing:
    """The firing alert of each stream and kind, and those that ended recently.

    The same alerts in the same order give the same state.

    Args:
        describe: returns an alert's labels and annotations.
        streams: the streams that are watched; they may change. Alerts of others would never be resolved, so they are
            left out.
    """

    def __init__(self, describe: Describe, streams: Collection[str]) -> None:
        self._describe = describe
        self._streams = streams
        self._firing: dict[tuple[str, str], Series] = {}
        self._ended: dict[frozenset[tuple[str, str]], Series] = {}

    def take(self, alert: Announcement, written_ms: int) -> bool:
        """Update the state by the next alert.

        Args:
            alert: the next one.
            written_ms: clock time at which it was written. Event times may be ahead of it, and an alert that ends in
                the future would still fire.

        Returns:
            Whether its stream is watched.
        """
        if alert.stream not in self._streams:
            return False
        now_ms = min(alert.end_ms, written_ms)
        labels, annotations = self._describe(alert)
        before = self._firing.pop(_kind(alert.stream, labels), None)
        if alert.state == "firing":
            if before is not None and before.labels != labels:
                self._end(before, before.annotations, now_ms, written_ms)
                before = None
            starts_ms = before.starts_ms if before is not None else now_ms
            self._firing[_kind(alert.stream, labels)] = Series(alert.stream, labels, annotations, starts_ms)
            self._ended.pop(_identity(labels), None)
        else:
            # It ends under the labels that it fired with, even if the reference has been renamed since.
            fired = before or Series(alert.stream, labels, annotations, min(alert.began_ms, now_ms))
            self._end(fired, annotations, now_ms, written_ms)
        return True

    def current(self, now_ms: int) -> list[Series]:
        """All that must be sent now: what fires, and what ended recently."""
        self._ended = {
            identity: series
            for identity, series in self._ended.items()
            if series.told_until_ms is not None and series.told_until_ms > now_ms
        }
        firing = [series for series in self._firing.values() if series.stream in self._streams]
        return [*firing, *self._ended.values()]

    def save(self, path: Path) -> None:
        """Write the state to a file, atomically."""
        write_whole(path, [orjson.dumps([asdict(each) for each in (*self._firing.values(), *self._ended.values())])])

    def load(self, path: Path) -> None:
        """Restore what `save` wrote, if there is a file.

        Raises:
            SinkError: the file is damaged, or cannot be read.
        """
        try:
            stored: list[dict[str, Any]] = orjson.loads(path.read_bytes())
            found = [Series(**each) for each in stored]
        except FileNotFoundError:
            return
        except OSError as error:
            raise SinkError(f"cannot be read: {error.strerror}", where=str(path), remedy="check state_dir") from None
        except (ValueError, TypeError) as error:
            raise SinkError(
                f"is not a valid state of alerts: {error}", where=str(path), remedy="delete it to start afresh"
            ) from None
        for series in found:
            if series.ends_ms is not None:
                self._ended[_identity(series.labels)] = series
            elif series.stream in self._streams:
                self._firing[_kind(series.stream, series.labels)] = series

    def _end(self, series: Series, annotations: Mapping[str, str], now_ms: int, written_ms: int) -> None:
        self._ended[_identity(series.labels)] = replace(
            series,
            annotations=annotations,
            ends_ms=max(series.starts_ms, now_ms),
            told_until_ms=written_ms + RESOLVED_TOLD_MS,
        )


def _kind(stream: str, labels: Mapping[str, str]) -> tuple[str, str]:
    """A stream has at most one firing alert of a kind, whatever its other labels are."""
    return stream, labels["alertname"]


def _identity(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())
