"""The alert, as data and as the CloudEvent that carries it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import orjson
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from driftwatch.errors import MessageError
from driftwatch.tracing.context import TRACEPARENT, valid_context

EVENT_TYPE = "io.driftwatch.drift.v1"
CONTENT_TYPE = "application/cloudevents+json"


@dataclass(frozen=True)
class Effect:
    """How far the stream is from its reference: debiased divergence in nats per sample, with a 95 % interval."""

    nats: float
    low: float
    high: float


@dataclass(frozen=True)
class OffsetRange:
    """Messages of one partition, first and last inclusive."""

    topic: str
    partition: int
    first: int
    last: int


@dataclass(frozen=True)
class WindowSpan:
    """Which samples a window holds.

    Args:
        size: the configured window size, in samples, or as a length of time such as ``5m``.
        samples: how many it holds.
        start_ms: event time of the oldest, milliseconds since the epoch.
        end_ms: event time of the newest.
        offsets: the messages that they came in.
        share: of the messages that were processed, the smallest in the window; less than 1 while load was shed.
    """

    size: int | str
    samples: int
    start_ms: int
    end_ms: int
    offsets: tuple[OffsetRange, ...]
    share: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """JSON-able; event times as RFC 3339."""
        return {
            "size": self.size,
            "samples": self.samples,
            "start": rfc3339(self.start_ms),
            "end": rfc3339(self.end_ms),
            "offsets": [dict(vars(each)) for each in self.offsets],
            **({"share": self.share} if self.share < 1 else {}),
        }


@dataclass(frozen=True)
class DetectorResult:
    """One detector's result for the window; `parts` by block, in nats per sample for the divergence."""

    name: str
    statistic: float
    p_value: float
    parts: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Example:
    """A sample of the window, and where it is.

    Args:
        topic: that its message came from.
        partition: of the topic.
        offset: of the message.
        row: index of the sample in the message.
        score: the sample's own divergence, nats.
        sample: JSON-able, if alerts may include samples; else None.
    """

    topic: str
    partition: int
    offset: int
    row: int
    score: float
    sample: Any = None

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return {name: value for name, value in asdict(self).items() if name != "sample" or value is not None}


@dataclass(frozen=True)
class Examples:
    """Samples of the window: those farthest from the reference, farthest first, and those nearest to it."""

    farthest: tuple[Example, ...]
    nearest: tuple[Example, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "farthest": [each.to_json() for each in self.farthest],
            "nearest": [each.to_json() for each in self.nearest],
        }


@dataclass(frozen=True)
class HeatMap:
    """Where in the image a window differs: an even grid of cells that covers the image.

    Args:
        values: rows from the top, each from the left; the excess of location in each cell, nats per sample.
    """

    values: tuple[tuple[float, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "rows": len(self.values),
            "columns": len(self.values[0]),
            "values": [list(row) for row in self.values],
            "unit": "nats per sample",
        }


@dataclass(frozen=True)
class Alert:
    """A stream starts to drift, drifts more severely, or is resolved.

    Args:
        id: deterministic: the same data gives the same id.
        stream: its name.
        state: firing if the alarm starts or worsens; resolved if it ends.
        severity: by the effect.
        effect: nats per sample.
        window: that decided it.
        p_value: of the combined detector in that window.
        detectors: every detector's result.
        explanation: what moved most, for people.
        reference: name and version of the bundle.
        heat_map: for images, if the alarm starts or worsens.
        examples: for any kind of sample, if the alarm starts or worsens.
        since_ms: event time at which the alarm started; None where it is unknown.
        trace: context of the newest message of the window whose trace is sampled; empty if there is none.
        announced_in: context of the span that announces it. Sent beside the event, not in it: it differs each time.
    """

    id: str
    stream: str
    state: Literal["firing", "resolved"]
    severity: str
    effect: Effect
    window: WindowSpan
    p_value: float
    detectors: tuple[DetectorResult, ...]
    explanation: str
    reference: tuple[str, str]
    heat_map: HeatMap | None = None
    examples: Examples | None = None
    since_ms: int | None = None
    trace: str = ""
    announced_in: str = field(default="", compare=False)

    @property
    def end_ms(self) -> int:
        """Event time of the newest sample of its window."""
        return self.window.end_ms

    @property
    def began_ms(self) -> int:
        """When the alarm started, as far as is known."""
        return self.window.end_ms if self.since_ms is None else self.since_ms

    def to_data(self) -> dict[str, Any]:
        """The ``data`` of the CloudEvent."""
        data = {
            "stream": self.stream,
            "state": self.state,
            "severity": self.severity,
            "effect": asdict(self.effect),
            "window": self.window.to_json(),
            "p_value": self.p_value,
            "detectors": [
                {
                    "name": each.name,
                    "statistic": each.statistic,
                    "p_value": each.p_value,
                    "parts": {block: dict(parts) for block, parts in each.parts.items()},
                }
                for each in self.detectors
            ],
            "explanation": self.explanation,
            "reference": {"name": self.reference[0], "version": self.reference[1]},
        }
        if self.since_ms is not None:
            data["since"] = rfc3339(self.since_ms)
        if self.heat_map is not None:
            data["heat_map"] = self.heat_map.to_json()
        if self.examples is not None:
            data["examples"] = self.examples.to_json()
        return data


def encode_alert(alert: Alert) -> bytes:
    """A structured CloudEvent in JSON; equal alerts give equal bytes."""
    return structured(EVENT_TYPE, alert.id, alert.stream, alert.end_ms, alert.to_data(), alert.trace)


def structured(kind: str, identity: str, stream: str, at_ms: int, data: Mapping[str, Any], trace: str = "") -> bytes:
    """A CloudEvent about a stream, in JSON."""
    attributes = {
        "id": identity,
        "source": f"/driftwatch/{stream}",
        "type": kind,
        "specversion": "1.0",
        "time": datetime.fromtimestamp(at_ms / 1000, UTC),
        "subject": stream,
        "datacontenttype": "application/json",
    }
    if trace:
        attributes[TRACEPARENT] = trace
    event = CloudEvent(attributes=attributes, data=dict(data))
    written = orjson.loads(JSONFormat().write(event))
    written["time"] = rfc3339(at_ms)
    return orjson.dumps(written, option=orjson.OPT_SORT_KEYS)


def decode_alert(value: bytes) -> Alert:
    """The inverse of `encode_alert`.

    Raises:
        MessageError: the bytes are not an alert of driftwatch.
    """
    try:
        event = orjson.loads(value)
        data = event["data"]
        window = data["window"]
        return Alert(
            id=event["id"],
            stream=data["stream"],
            state=data["state"],
            severity=data["severity"],
            effect=Effect(**data["effect"]),
            window=WindowSpan(
                size=window["size"],
                samples=window["samples"],
                start_ms=epoch_ms(window["start"]),
                end_ms=epoch_ms(window["end"]),
                offsets=tuple(OffsetRange(**each) for each in window["offsets"]),
                share=window.get("share", 1.0),
            ),
            p_value=data["p_value"],
            detectors=tuple(DetectorResult(**each) for each in data["detectors"]),
            explanation=data["explanation"],
            reference=(data["reference"]["name"], data["reference"]["version"]),
            heat_map=HeatMap(tuple(map(tuple, data["heat_map"]["values"]))) if "heat_map" in data else None,
            examples=_examples(data["examples"]) if "examples" in data else None,
            since_ms=epoch_ms(data["since"]) if "since" in data else None,
            trace=valid_context(event.get(TRACEPARENT)),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise MessageError(f"is not an alert of driftwatch: {error}", reason="malformed") from None


def _examples(data: Mapping[str, Any]) -> Examples:
    farthest, nearest = (tuple(Example(**each) for each in data[side]) for side in ("farthest", "nearest"))
    return Examples(farthest, nearest)


@lru_cache(maxsize=1024)
def rfc3339(milliseconds: int) -> str:
    """UTC, to the millisecond.

    >>> rfc3339(1_000)
    '1970-01-01T00:00:01.000Z'
    """
    text = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def epoch_ms(text: str) -> int:
    """The inverse of `rfc3339`."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
