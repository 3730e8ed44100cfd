"""Confluent's wire format, in which a message names the registered schema that it was written with.

References:
    Confluent, "Formats, Serializers, and Deserializers for Schema Registry", section "Wire format".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from driftwatch.errors import MessageError

SCHEMA_HEADER = "__value_schema_id"
ID_MAGIC, GUID_MAGIC = 0, 1
DEEPEST = 100
LONGEST_VARINT = 10

SchemaKey = int | UUID
"""A schema's key in a registry: its number there, or an identity that is the same in every registry."""


@dataclass(frozen=True)
class Framed:
    """A body, and the schema that it was written with.

    Args:
        schema: its key in the registry.
        body: the rest; a Protobuf body starts with the indexes of the message's type.
    """

    schema: SchemaKey
    body: bytes


def framed(value: bytes, headers: Mapping[str, bytes]) -> Framed | None:
    """The frame of a message, or None if it has none: no other known format starts with a zero byte.

    Args:
        value: the message's body.
        headers: by lower-case name; newer serializers put the schema into a header, and leave the body unchanged.

    Raises:
        MessageError: it is cut short.
    """
    if header := headers.get(SCHEMA_HEADER):
        schema, rest = _key(header)
        return Framed(schema, rest + value)
    if value[:1] == bytes([ID_MAGIC]):
        return Framed(*_key(value))
    return None


def _key(data: bytes) -> tuple[SchemaKey, bytes]:
    magic = data[0]
    if magic == ID_MAGIC and len(data) >= 5:
        return int.from_bytes(data[1:5], "big"), data[5:]
    if magic == GUID_MAGIC and len(data) >= 17:
        return UUID(bytes=data[1:17]), data[17:]
    raise MessageError(
        f"names no schema: {data[:17].hex(' ')}",
        reason="malformed",
        remedy="serializers of the schema registry write a zero byte and the schema's id first",
    )


def message_indexes(body: bytes) -> tuple[tuple[int, ...], bytes]:
    """The indexes of a body's message type, and the rest of the body.

    The indexes lead from a file's messages down to a nested one: ``(0,)`` is the first. They are zigzag varints,
    preceded by their count; the most frequent, ``(0,)``, is written as a single zero.

    Raises:
        MessageError: there are none.
    """
    count, at = _zigzag(body, 0)
    if not 0 <= count <= DEEPEST:
        raise MessageError(f"names a type {count} messages deep", reason="malformed")
    indexes = []
    for _ in range(count):
        index, at = _zigzag(body, at)
        indexes.append(index)
    return tuple(indexes) or (0,), body[at:]


def _zigzag(data: bytes, at: int) -> tuple[int, int]:
    """The signed number at a position, and the position after it."""
    number = 0
    for i, byte in enumerate(data[at : at + LONGEST_VARINT]):
        number |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at + i + 1
    raise MessageError("is cut short where its type is named", reason="malformed")
