"""CloudEvents in structured mode: one JSON body has the attributes, and with them the samples.

References:
    CloudEvents 1.0, JSON event format.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from driftwatch.data.content_types import CLOUDEVENTS_JSON, Headers, declared_type
from driftwatch.data.json_bodies import load_json
from driftwatch.errors import MessageError


class StructuredEvent:
    """The body of a structured CloudEvent: parsed when it is needed, once for all who need it.

    Args:
        value: the body.
    """

    def __init__(self, value: bytes) -> None:
        self.value = value

    @cached_property
    def parsed(self) -> Any:
        """The parsed body.

        Raises:
            MessageError: it is not JSON.
        """
        return load_json(self.value)

    @cached_property
    def attributes(self) -> Mapping[str, str]:
        """The text attributes; empty if the body is no event, which decoding reports."""
        try:
            event = self.parsed
        except MessageError:
            return {}
        if not isinstance(event, dict):
            return {}
        return {name: text for name, text in event.items() if name != "data" and isinstance(text, str)}


def structured_event(value: bytes, headers: Headers) -> StructuredEvent | None:
    """The event in a message; None if its sender does not declare one."""
    return StructuredEvent(value) if declared_type(headers) == CLOUDEVENTS_JSON else None
