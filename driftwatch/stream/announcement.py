"""All that is announced of a stream: that it drifts, and that it is silent. One form for topics, sinks and pages."""

from __future__ import annotations

from dataclasses import replace

import orjson

from driftwatch.errors import MessageError
from driftwatch.stream import quiet_alert
from driftwatch.stream.alert import Alert, decode_alert, encode_alert
from driftwatch.stream.quiet_alert import QuietAlert, decode_quiet_alert, encode_quiet_alert

Announcement = Alert | QuietAlert

APART = "\x1f"
"""No name of a stream has it."""


def encode(announced: Announcement) -> bytes:
    """A structured CloudEvent in JSON; equal announcements are equal bytes."""
    return encode_quiet_alert(announced) if isinstance(announced, QuietAlert) else encode_alert(announced)


def decode(value: bytes) -> Announcement:
    """The inverse of `encode`.

    Raises:
        MessageError: the bytes are no announcement of driftwatch's.
    """
    try:
        quiet = orjson.loads(value)["type"] == quiet_alert.EVENT_TYPE
    except (ValueError, KeyError, TypeError) as error:
        raise MessageError(f"is no alert of driftwatch: {error}", reason="malformed") from None
    return decode_quiet_alert(value) if quiet else decode_alert(value)


def key_of(announced: Announcement) -> str:
    """Of its message: the topic is compacted, and must keep the last announcement of either kind."""
    return f"{announced.stream}{APART}quiet" if isinstance(announced, QuietAlert) else announced.stream


def without_samples(announced: Announcement) -> Announcement:
    """Samples may be large; nobody who is told again looks at them."""
    return announced if isinstance(announced, QuietAlert) else replace(announced, examples=None)
