"""The trace that a message belongs to; a context is passed around as its ``traceparent``.

References:
    W3C Trace Context, ``traceparent`` of version 00; CloudEvents 1.0, distributed tracing extension.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from driftwatch.data.structured_events import StructuredEvent

TRACEPARENT = "traceparent"
SAMPLED = 1

_CONTEXT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def context_of(headers: Mapping[str, bytes], event: StructuredEvent | None = None) -> str:
    """The context of a message; empty if it has none, or none that is valid.

    The message's own header comes first: it was written by the last sender, a CloudEvent's attribute by the first.

    Args:
        headers: of the message, by lower-case name.
        event: that it holds, if its sender declares one.
    """
    for name in (TRACEPARENT, f"ce_{TRACEPARENT}"):
        if header := headers.get(name):
            return valid_context(header.decode(errors="replace"))
    # Searching for the word is cheaper than parsing the event of a message that is shed.
    if event is not None and TRACEPARENT.encode() in event.value:
        return valid_context(event.attributes.get(TRACEPARENT, ""))
    return ""


def valid_context(text: object) -> str:
    """A context received from elsewhere, if it is valid; else empty."""
    return text if isinstance(text, str) and _CONTEXT.fullmatch(text) else ""


def is_sampled(context: str) -> bool:
    """Whether the trace is recorded where it began.

    >>> is_sampled("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), is_sampled("")
    (True, False)
    """
    return bool(context) and bool(int(context[-2:], 16) & SAMPLED)


def trace_headers(context: str) -> tuple[tuple[str, bytes], ...]:
    """Headers for a message, by which its reader can continue the trace."""
    return ((TRACEPARENT, context.encode()),) if context else ()
