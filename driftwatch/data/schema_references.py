"""Fetching of a registered schema and the schemas that it refers to, within limits.

References:
    Confluent, "Schema Registry API Reference", on references.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from driftwatch.errors import MessageError

MOST_BYTES = 4 << 20
"""Most bytes of a schema with all that it refers to, and of one answer; Confluent Cloud accepts 1 MB per schema."""

MOST_REFERENCED = 200
"""Schemas that one may refer to, directly or indirectly; each takes a request."""

SERIALIZED = "?format=serialized"
"""Requests a Protobuf schema as a descriptor instead of text, which only protoc could parse."""


class SchemaSources:
    """Fetches one schema and the schemas that it refers to.

    Args:
        stored: the registry's answer for a path.
        form: query for the form of schemas, such as `SERIALIZED`.
    """

    def __init__(self, stored: Callable[[str], Mapping[str, Any]], form: str = "") -> None:
        self._stored = stored
        self._form = form
        self._texts: dict[tuple[str, int], str | None] = {}
        self.size = 0
        """Bytes of all texts so far."""

    def at(self, path: str) -> str:
        """The schema at a path.

        Raises:
            MessageError: it and the schemas so far are too long.
            RegistryError: the registry does not answer.
        """
        return self.counted(self._stored(path + self._form))

    def counted(self, stored: Mapping[str, Any]) -> str:
        """The text of a schema in a registry's answer.

        Raises:
            MessageError: it and the schemas so far are too long.
        """
        text: str = stored["schema"]
        self.size += len(text)
        if self.size > MOST_BYTES:
            raise _unread(f"has more than {MOST_BYTES >> 20} MiB, with those it refers to")
        return text

    def referenced(self, stored: Mapping[str, Any]) -> dict[str, str]:
        """The schemas that one refers to, by the name of the reference, each after those that it refers to itself.

        Args:
            stored: the registry's answer for the schema.

        Raises:
            MessageError: there are too many, or one refers to itself.
            RegistryError: the registry does not answer.
            KeyError, TypeError, ValueError: the answer contains malformed references.
        """
        found: dict[str, str] = {}
        self._follow(stored, found)
        return found

    def _follow(self, stored: Mapping[str, Any], found: dict[str, str]) -> None:
        for reference in stored.get("references") or ():
            if reference["name"] in found:
                continue
            subject, version = reference["subject"], int(reference["version"])
            if (subject, version) not in self._texts:
                if len(self._texts) == MOST_REFERENCED:
                    raise _unread(f"refers to more than {MOST_REFERENCED} schemas")
                self._texts[subject, version] = None
                # A schema in use may refer to one that was deleted meanwhile.
                schema = self._stored(f"/subjects/{quote(subject, safe='')}/versions/{version}?deleted=true")
                self._follow(schema, found)
                form = self._form and self._stored(f"/schemas/ids/{schema['id']}{self._form}")
                self._texts[subject, version] = self.counted(form or schema)
            text = self._texts[subject, version]
            if text is None:
                raise _unread(f"refers to {subject[:80]!r}, which refers to itself")
            found[reference["name"]] = text


def _unread(what: str) -> MessageError:
    return MessageError(what, reason="unsupported_format", remedy="see the limits in docs/schema-registry.md")
