"""The number of values that a Protobuf body decodes to, counted before decoding: two bytes may be a row of a thousand.

References:
    Protocol Buffers, "Encoding".
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool

from driftwatch.data.record_sizes import RECORD, Room, most_values

VARINT, I64, LENGTH, START, END, I32 = range(6)
"""Wire types: how the content of a field is encoded."""

DEEPEST = 100
"""Nesting of messages up to which Protobuf itself reads."""


@dataclass
class Kind:
    """A message type.

    Args:
        values: cost of one message, whatever of it is set: its decoded form names all fields.
        within: types of its fields that are messages, by field number.
    """

    values: int
    within: dict[int, Kind] = field(default_factory=dict)


NO_KIND = Kind(0)


class BodySizes:
    """Refuses bodies that would decode to more values than allowed.

    Args:
        pool: with the schema's types.
        single: names of the types that decode to a single value.
    """

    def __init__(self, pool: DescriptorPool, single: Collection[str]) -> None:
        self._pool = pool
        self._single = single
        self._kinds: dict[str, Kind] = {}

    def require_room(self, body: bytes, descriptor: Descriptor) -> None:
        """Check that a body may be decoded. Malformed bodies pass, since the parser reports them.

        Args:
            body: a message.
            descriptor: of its type.

        Raises:
            MessageError: it contains too many values.
        """
        kind = self._kind(descriptor)
        # A nested message takes at least two bytes, which is enough to let most bodies pass.
        if len(body) // 2 * max(each.values for each in self._kinds.values()) <= most_values(len(body)):
            return
        room = Room("protobuf")
        room.open(len(body))
        try:
            _count(body, kind, room)
        except IndexError:
            return

    def _kind(self, descriptor: Descriptor) -> Kind:
        """The type of a message. Not recursive, since thousands of types may be nested."""
        pending: list[tuple[Descriptor, Kind]] = []

        def known(descriptor: Descriptor) -> Kind:
            if descriptor.full_name not in self._kinds:
                fields = 1 if descriptor.full_name in self._single else len(descriptor.fields)
                kind = self._kinds[descriptor.full_name] = Kind(RECORD + fields)
                pending.append((descriptor, kind))
            return self._kinds[descriptor.full_name]

        kind = known(descriptor)
        while pending:
            each, its = pending.pop()
            for one in (*each.fields, *self._pool.FindAllExtensions(each)):
                if one.message_type is not None:
                    its.within[one.number] = known(one.message_type)
        return kind


def _count(body: bytes, kind: Kind, room: Room) -> None:
    """Count all messages of a body against the budget, in the order in which a parser reads them.

    Raises:
        MessageError: the budget is exceeded.
        IndexError: the body is cut short.
    """
    around: list[tuple[Kind, int]] = []
    at, end = 0, len(body)
    room.take(kind.values)
    while len(around) <= DEEPEST:
        if at >= end:
            if not around:
                return
            kind, end = around.pop()
            continue
        tag, at = _varint(body, at)
        wire = tag & 7
        if wire == VARINT:
            _, at = _varint(body, at)
        elif wire == I64:
            at += 8
        elif wire == I32:
            at += 4
        elif wire == LENGTH:
            length, at = _varint(body, at)
            if (inner := kind.within.get(tag >> 3)) is None:
                at += length
            else:
                around.append((kind, end))
                kind, end = inner, at + length
                room.take(kind.values)
        elif wire == START:
            around.append((kind, end))
            kind = kind.within.get(tag >> 3, NO_KIND)
            room.take(kind.values)
        elif wire == END and around:
            kind, end = around.pop()
        else:
            return


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """The number at a position, and the position after it."""
    byte = body[at]
    if byte < 0x80:
        return byte, at + 1
    number, shift = byte & 0x7F, 7
    while byte >= 0x80 and shift < 70:
        at += 1
        byte = body[at]
        number |= (byte & 0x7F) << shift
        shift += 7
    return number, at + 1
