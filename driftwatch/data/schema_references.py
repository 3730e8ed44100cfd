"""A schema of a registry and those that it refers to, as much of them as is read.

References:
    Confluent, "Schema Registry API Reference", on references.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from driftwatch.errors import MessageError

MOST_BYTES = 4 << 20
"""Of a schema and all that it refers to, and of one answer; Confluent's cloud takes a megabyte of a schema."""

MOST_REFERENCED = 200
"""Schemas that one may refer to, by others too: each is asked for by itself."""

SERIALIZED = "?format=serialized"
"""Asks for a Protobuf schema as a descriptor instead of a text, which only protoc could read."""


class SchemaSources:
    """Fetches one schema with what it refers to.

    Args:
        stored: what a registry answers to a path.
        form: to ask schemas for, such as `SERIALIZED`.
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
            MessageError: there are too many bytes of schemas with it.
            RegistryError: the registry does not answer.
        """
        return self.counted(self._stored(path + self._form))

    def counted(self, stored: Mapping[str, Any]) -> str:
        """The schema that a registry answered with.

        Raises:
            MessageError: there are too many bytes of schemas with it.
        """
        text: str = stored["schema"]
        self.size += len(text)
        if self.size > MOST_BYTES:
            raise _unread(f"has more than {MOST_BYTES >> 20} MiB, with those it refers to")
        return text

    def referenced(self, stored: Mapping[str, Any]) -> dict[str, str]:
        """The schemas that one refers to, by the name of the reference; each after those that it refers to itself.

        Args:
            stored: what the registry answers for it.

        Raises:
            MessageError: they are too many, or one refers to itself.
            RegistryError: the registry does not answer.
            KeyError, TypeError, ValueError: it answers what are no references.
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
                # A schema in use may refer to one that was deleted since.
                schema = self._stored(f"/subjects/{quote(subject, safe='')}/versions/{version}?deleted=true")
                self._follow(schema, found)
                form = self._form and self._stored(f"/schemas/ids/{schema['id']}{self._form}")
                self._texts[subject, version] = self.counted(form or schema)
            text = self._texts[subject, version]
            if text is None:
                raise _unread(f"refers to {subject[:80]!r}, which refers to itself")
            found[reference["name"]] = text


def _unread(what: str) -> MessageError:
    return MessageError(what, reason="unsupported_format", remedy="which is not read; see docs/schema-registry.md")
