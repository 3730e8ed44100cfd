"""Which format a message's body has: as its sender declares it, or by its first bytes."""

from __future__ import annotations

from collections.abc import Mapping

from driftwatch.data.array_bodies import ARROW_MAGIC, NPY_MAGIC
from driftwatch.errors import MessageError

Headers = Mapping[str, bytes]
"""Of a message, by lower-case name."""

CLOUDEVENTS_JSON = "application/cloudevents+json"
CONTENT_TYPES = {
    "application/json": "json",
    "application/x-npy": "npy",
    "application/vnd.apache.arrow.stream": "arrow",
    CLOUDEVENTS_JSON: "cloudevents",
}

SILENT = frozenset({"application/x-www-form-urlencoded", "application/octet-stream", "text/plain"})
"""Content types that clients send by default, whatever the body is."""


def content_type_of(value: bytes, declared: str = "") -> str:
    """The content type of a body, from its first bytes; from its sender's declaration only if these are ambiguous.

    Clients of models label bodies arbitrarily, and labels are passed on: `curl` declares JSON as
    ``application/x-www-form-urlencoded``, as KServe's own documentation does.
    """
    media = media_type(declared)
    if value.startswith(NPY_MAGIC):
        return "application/x-npy"
    if value.startswith(ARROW_MAGIC):
        return "application/vnd.apache.arrow.stream"
    if value[:64].lstrip().startswith((b"{", b"[")):
        return media if media.endswith("+json") else "application/json"
    return media


def declared_type(headers: Headers) -> str:
    """The content type that a message's headers declare; empty if they declare none."""
    for name in ("content-type", "ce_datacontenttype"):
        if headers.get(name):
            return media_type(headers[name].decode(errors="replace"))
    return ""


def media_type(text: str) -> str:
    """A content type without its parameters."""
    return text.split(";", maxsplit=1)[0].strip().lower()


def format_of(value: bytes, content_type: str) -> str:
    """The format of a body with a declared content type, which may be empty.

    Raises:
        MessageError: the content type is not known.
    """
    if content_type and content_type not in SILENT:
        if content_type not in CONTENT_TYPES and not content_type.endswith("+json"):
            raise MessageError(
                f"content type {content_type[:80]!r} is not known",
                reason="unsupported_format",
                remedy=f"one of {', '.join(CONTENT_TYPES)}",
            )
        return CONTENT_TYPES.get(content_type, "json")
    if value.startswith(NPY_MAGIC):
        return "npy"
    return "arrow" if value.startswith(ARROW_MAGIC) else "json"
