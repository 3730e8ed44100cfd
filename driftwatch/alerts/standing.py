"""What fires at the moment: alerts folded into the state that Alertmanager is to be kept at."""

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
"""How long the end of an alert is told again, as Prometheus does: a receiver that was away still hears of it."""


@dataclass(frozen=True)
class Series:
    """One alert as Alertmanager knows it: its labels are what it is, all else may change.

    Args:
        stream: that it is about.
        labels: by name.
        annotations: by name.
        starts_ms: since when, milliseconds since the epoch.
        ends_ms: when it ended; None while it fires.
        told_until_ms: when its end need not be told any more; None while it fires.
    """

    stream: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_ms: int
    ends_ms: int | None = None
    told_until_ms: int | None = None


Describe = Callable[[Announcement], tuple[Mapping[str, str], Mapping[str, str]]]
"""Labels and annotations of an alert."""


class Standing:
    """The alerts that stand: of each stream and kind of alert the one that fires, and those that ended lately.

    The same alerts in the same order give the same state.

    Args:
        describe: an alert as labels and annotations.
        streams: that are watched, which may change; alerts of others, which nobody would ever resolve, are left out.
    """

    def __init__(self, describe: Describe, streams: Collection[str]) -> None:
        self._describe = describe
        self._streams = streams
        self._firing: dict[tuple[str, str], Series] = {}
        self._ended: dict[frozenset[tuple[str, str]], Series] = {}

    def take(self, alert: Announcement, told_ms: int) -> bool:
        """Takes up an alert.

        Args:
            alert: the next one.
            told_ms: when it was written, by the clock. Event times may be ahead of it, and an alert that ends in the
                future would still fire.

        Returns:
            Whether it is of a stream that is watched.
        """
        if alert.stream not in self._streams:
            return False
        now_ms = min(alert.end_ms, told_ms)
        labels, annotations = self._describe(alert)
        before = self._firing.pop(_kind(alert.stream, labels), None)
        if alert.state == "firing":
            if before is not None and before.labels != labels:
                self._end(before, before.annotations, now_ms, told_ms)
                before = None
            starts_ms = before.starts_ms if before is not None else now_ms
            self._firing[_kind(alert.stream, labels)] = Series(alert.stream, labels, annotations, starts_ms)
            self._ended.pop(_identity(labels), None)
        else:
            # Ends under the labels it fired under, whatever the reference is called by now.
            fired = before or Series(alert.stream, labels, annotations, min(alert.began_ms, now_ms))
            self._end(fired, annotations, now_ms, told_ms)
        return True

    def told(self, now_ms: int) -> list[Series]:
        """All that is to be told now: what fires, and what ended lately."""
        self._ended = {
            identity: series
            for identity, series in self._ended.items()
            if series.told_until_ms is not None and series.told_until_ms > now_ms
        }
        firing = [series for series in self._firing.values() if series.stream in self._streams]
        return [*firing, *self._ended.values()]

    def save(self, path: Path) -> None:
        """Writes the state so that the file is whole at any instant."""
        write_whole(path, [orjson.dumps([asdict(each) for each in (*self._firing.values(), *self._ended.values())])])

    def load(self, path: Path) -> None:
        """Takes up what `save` wrote, if it has.

        Raises:
            SinkError: the file is damaged, or cannot be read.
        """
        try:
            stored: list[dict[str, Any]] = orjson.loads(path.read_bytes())
            found = [Series(**each) for each in stored]
        except FileNotFoundError:
            return
        except OSError as error:
            raise SinkError(f"cannot be read: {error.strerror}", where=str(path), remedy="see to state_dir") from None
        except (ValueError, TypeError) as error:
            raise SinkError(
                f"does not tell which alerts fire: {error}", where=str(path), remedy="delete it to start anew"
            ) from None
        for series in found:
            if series.ends_ms is not None:
                self._ended[_identity(series.labels)] = series
            elif series.stream in self._streams:
                self._firing[_kind(series.stream, series.labels)] = series

    def _end(self, series: Series, annotations: Mapping[str, str], now_ms: int, told_ms: int) -> None:
        self._ended[_identity(series.labels)] = replace(
            series,
            annotations=annotations,
            ends_ms=max(series.starts_ms, now_ms),
            told_until_ms=told_ms + RESOLVED_TOLD_MS,
        )


def _kind(stream: str, labels: Mapping[str, str]) -> tuple[str, str]:
    """Whatever else its labels say, one alert of a kind stands for a stream."""
    return stream, labels["alertname"]


def _identity(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())
