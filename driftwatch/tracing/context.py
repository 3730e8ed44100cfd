"""The trace that a message belongs to, as its sender tells it; a context is carried about as its ``traceparent``.

References:
    W3C Trace Context, ``traceparent`` of version 00; CloudEvents 1.0, distributed tracing extension.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from driftwatch.data.codecs import is_structured_event, structured_attributes

TRACEPARENT = "traceparent"
SAMPLED = 1

_CONTEXT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def context_of(headers: Mapping[str, bytes], value: bytes = b"") -> str:
    """The context of a message; empty if its sender tells none, or none that is valid.

    The message's own header comes first: whoever passed it on last wrote that, while a CloudEvent's attribute is from
    where the event began.

    Args:
        headers: of the message, by lower-case name.
        value: read only for the attribute of a structured CloudEvent.
    """
    for name in (TRACEPARENT, f"ce_{TRACEPARENT}"):
        if told := headers.get(name):
            return valid_context(told.decode(errors="replace"))
    # Looking for the word is cheaper than reading the whole event once more.
    if is_structured_event(headers) and TRACEPARENT.encode() in value:
        return valid_context(structured_attributes(value).get(TRACEPARENT, ""))
    return ""


def valid_context(told: object) -> str:
    """What somebody else calls a context, if it is one; else empty."""
    return told if isinstance(told, str) and _CONTEXT.fullmatch(told) else ""


def is_sampled(context: str) -> bool:
    """Whether the trace is recorded by whoever began it.

    >>> is_sampled("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), is_sampled("")
    (True, False)
    """
    return bool(context) and bool(int(context[-2:], 16) & SAMPLED)


def trace_headers(context: str) -> tuple[tuple[str, bytes], ...]:
    """What goes with a message, for whoever reads it to carry on the trace."""
    return ((TRACEPARENT, context.encode()),) if context else ()
