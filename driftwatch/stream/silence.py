"""Whether a stream is silent: a small state machine over sightings and panes, in the order of their log."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from driftwatch.stream.panes import Pane
from driftwatch.stream.quiet_alert import QuietAlert
from driftwatch.stream.sighting import Hush, Sighting

QUIET_IDS = uuid.UUID("0b8f2f5a-3f0e-5c1d-9d53-7a1c0f4be6d4")


@dataclass(frozen=True)
class _Place:
    """What is known of one partition.

    Args:
        offset: of the stream's newest message; -1 if none is known.
        time_ms: its event time.
        end: the partition's end when the stream was found silent in it; -1 if it is not silent.
    """

    offset: int = -1
    time_ms: int = 0
    end: int = -1

    def sighted(self, sighting: Sighting) -> _Place:
        """The state after a sighting. A lower offset means that the topic was recreated."""
        newest = replace(self, offset=sighting.offset, time_ms=sighting.time_ms) if sighting.offset >= 0 else self
        return replace(newest, end=sighting.hush.end if sighting.hush else -1)

    def scored(self, pane: Pane) -> _Place:
        """The state after a pane. Older samples, from a pane that was closed late, do not end a silence."""
        offset = pane.last[0]
        return self if offset <= self.offset else _Place(offset, pane.end_ms, self.end if offset < self.end else -1)


@dataclass(frozen=True)
class Silence:
    """What is remembered of a stream.

    Args:
        topic: of the input.
        places: what is known of each partition, by number.
        firing: the rule that the silence broke; None while the stream is not silent.
        since_ms: event time of the last message before the silence.
    """

    topic: str = ""
    places: Mapping[int, _Place] = field(default_factory=dict)
    firing: Hush | None = None
    since_ms: int = 0

    def sighted(self, stream: str, sighting: Sighting) -> tuple[Silence, QuietAlert | None]:
        """The state after a sighting, and the announcement, if any."""
        known = self if sighting.topic == self.topic else replace(self, topic=sighting.topic, places={})
        place = known.places.get(sighting.partition, _Place()).sighted(sighting)
        known = replace(known, places={**known.places, sighting.partition: place})
        if sighting.hush is None:
            return known._message_seen(stream, sighting.partition)
        return known._silence_seen(stream, sighting.hush)

    def scored(self, pane: Pane) -> tuple[Silence, QuietAlert | None]:
        """The state after a pane, likewise. Without sightings there is nothing to remember."""
        if pane.topic != self.topic or pane.partition not in self.places:
            return self, None
        place = self.places[pane.partition].scored(pane)
        return replace(self, places={**self.places, pane.partition: place})._message_seen(pane.stream, pane.partition)

    def _message_seen(self, stream: str, partition: int) -> tuple[Silence, QuietAlert | None]:
        place = self.places[partition]
        if self.firing is None or place.end >= 0:
            return self, None
        alert = self._alert(stream, "resolved", self.firing, partition, self.since_ms, place.time_ms)
        return replace(self, firing=None, since_ms=0), alert

    def _silence_seen(self, stream: str, hush: Hush) -> tuple[Silence, QuietAlert | None]:
        known = {number: place for number, place in self.places.items() if place.offset >= 0}
        silent = sum(place.end >= 0 for place in self.places.values())
        if self.firing is not None or not known or silent < hush.partitions:
            return self, None
        last = max(known, key=lambda number: (known[number].time_ms, number))
        since_ms = known[last].time_ms
        alert = self._alert(stream, "firing", hush, last, since_ms, hush.at_ms)
        return replace(self, firing=hush, since_ms=since_ms), alert

    def _alert(
        self, stream: str, state: Literal["firing", "resolved"], rule: Hush, partition: int, since_ms: int, end_ms: int
    ) -> QuietAlert:
        offset = self.places[partition].offset
        identity = f"{stream}|{state}|{self.topic}|{partition}|{offset}"
        return QuietAlert(
            id=str(uuid.uuid5(QUIET_IDS, identity)),
            stream=stream,
            state=state,
            severity=rule.severity,
            since_ms=since_ms,
            end_ms=end_ms,
            after_ms=rule.after_ms,
            topic=self.topic,
            partition=partition,
            offset=offset,
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-able, for the state topic."""
        return {
            "topic": self.topic,
            "places": {str(number): [place.offset, place.time_ms, place.end] for number, place in self.places.items()},
            "firing": self.firing and asdict(self.firing),
            "since_ms": self.since_ms,
        }

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> Silence:
        """The inverse of `to_json`."""
        return Silence(
            fields["topic"],
            {int(number): _Place(*place) for number, place in fields["places"].items()},
            fields["firing"] and Hush(**fields["firing"]),
            fields["since_ms"],
        )


NEVER_SILENT = Silence()
"""What is remembered of a stream before anything is known of it."""
