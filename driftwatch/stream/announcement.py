"""Announcements about a stream, that it drifts or is silent: one encoding for topics, sinks and pages."""

from __future__ import annotations

import re
from dataclasses import replace

import orjson

from driftwatch.errors import MessageError
from driftwatch.stream import alert, quiet_alert
from driftwatch.stream.alert import Alert, decode_alert, encode_alert
from driftwatch.stream.formats import require_format
from driftwatch.stream.quiet_alert import QuietAlert, decode_quiet_alert, encode_quiet_alert

Announcement = Alert | QuietAlert

_VERSION = re.compile(r"(?P<name>.+)\.v(?P<version>[0-9]{1,9})")

APART = "\x1f"
"""Separator that cannot occur in a stream's name."""


def encode(announced: Announcement) -> bytes:
    """A structured CloudEvent in JSON; equal announcements give equal bytes."""
    return encode_quiet_alert(announced) if isinstance(announced, QuietAlert) else encode_alert(announced)


def decode(value: bytes) -> Announcement:
    """The inverse of `encode`.

    Raises:
        MessageError: the bytes are not an announcement of driftwatch.
        NewerFormatError: a newer driftwatch wrote them.
    """
    try:
        kind = str(orjson.loads(value)["type"])
    except (ValueError, KeyError, TypeError) as error:
        raise MessageError(f"is not an alert of driftwatch: {error}", reason="malformed") from None
    for known, decode_known in ((alert.EVENT_TYPE, decode_alert), (quiet_alert.EVENT_TYPE, decode_quiet_alert)):
        name, _, version = known.rpartition(".v")
        if (found := _VERSION.fullmatch(kind)) and found["name"] == name:
            require_format(int(found["version"]), int(version), what=f"an alert of type {kind}", where="alerts topic")
            return decode_known(value)
    raise MessageError(f"is not an alert of driftwatch, but {kind[:80]!r}", reason="malformed")


def key_of(announced: Announcement) -> str:
    """Key of its message: separate for each kind, so that the compacted topic keeps the last of both."""
    return f"{announced.stream}{APART}quiet" if isinstance(announced, QuietAlert) else announced.stream


def without_samples(announced: Announcement) -> Announcement:
    """The announcement without its samples, which may be large and are not shown again after a restart."""
    return announced if isinstance(announced, QuietAlert) else replace(announced, examples=None)
