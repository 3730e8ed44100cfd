"""The alert on a silent stream, as data and as the CloudEvent that carries it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from driftwatch.errors import MessageError
from driftwatch.stream.alert import epoch_ms, rfc3339, structured

EVENT_TYPE = "io.driftwatch.quiet.v1"


@dataclass(frozen=True)
class QuietAlert:
    """A stream has fallen silent, or is back.

    Args:
        id: deterministic: the same silence gives the same id.
        stream: its name.
        state: firing if the silence was detected; resolved if it is over.
        severity: the lowest that is configured.
        since_ms: event time of the last message before the silence, milliseconds since the epoch.
        end_ms: clock time at which the silence was detected, or event time of the message that ended it.
        after_ms: how long a stream may be silent.
        topic: of the last message before the silence, or of the one that ended it.
        partition: of the topic.
        offset: of that message.
        announced_in: context of the span that announces it. Sent beside the event, not in it: it differs each time.
    """

    id: str
    stream: str
    state: Literal["firing", "resolved"]
    severity: str
    since_ms: int
    end_ms: int
    after_ms: int
    topic: str
    partition: int
    offset: int
    announced_in: str = field(default="", compare=False)

    @property
    def began_ms(self) -> int:
        """When the silence began, by event time."""
        return self.since_ms

    @property
    def trace(self) -> str:
        """Empty: no message caused this alert."""
        return ""

    @property
    def explanation(self) -> str:
        """What happened, for people."""
        place = f"{self.topic}/{self.partition} offset {self.offset}"
        if self.state == "resolved":
            return f"samples are arriving again, first at {place}"
        minutes = self.after_ms / 60_000
        allowed = f"{minutes:g} min" if minutes >= 1 else f"{self.after_ms / 1000:g} s"
        return f"no sample for more than {allowed}, the last at {place}"

    def to_data(self) -> dict[str, Any]:
        """The ``data`` of the CloudEvent."""
        return {
            "stream": self.stream,
            "state": self.state,
            "severity": self.severity,
            "since": rfc3339(self.since_ms),
            "quiet_after_seconds": self.after_ms / 1000,
            "last" if self.state == "firing" else "next": {
                "topic": self.topic,
                "partition": self.partition,
                "offset": self.offset,
            },
            "explanation": self.explanation,
        }


def encode_quiet_alert(alert: QuietAlert) -> bytes:
    """A structured CloudEvent in JSON; equal alerts give equal bytes."""
    return structured(EVENT_TYPE, alert.id, alert.stream, alert.end_ms, alert.to_data())


def decode_quiet_alert(value: bytes) -> QuietAlert:
    """The inverse of `encode_quiet_alert`.

    Raises:
        MessageError: the bytes are not such an alert.
    """
    try:
        event = orjson.loads(value)
        data = event["data"]
        state = data["state"]
        return QuietAlert(
            id=event["id"],
            stream=data["stream"],
            state=state,
            severity=data["severity"],
            since_ms=epoch_ms(data["since"]),
            end_ms=epoch_ms(event["time"]),
            after_ms=round(1000 * data["quiet_after_seconds"]),
            **data["last" if state == "firing" else "next"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise MessageError(f"is not an alert of driftwatch: {error}", reason="malformed") from None
