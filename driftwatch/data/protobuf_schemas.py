"""Decoding of bodies with Protobuf schemas of a registry to records."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from importlib import import_module
from operator import attrgetter
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from driftwatch.data.collecting import uncollected
from driftwatch.data.decimals import decimal_number
from driftwatch.data.protobuf_sizes import BodySizes
from driftwatch.data.schema_framing import message_indexes
from driftwatch.errors import MessageError

Reader = Callable[[Any], Any]
"""Converts a message or value to its plain form."""

DECIMAL = "confluent.type.Decimal"

# What protobuf raises for files that do not define valid types.
FAULTS = (TypeError, ValueError, LookupError, RecursionError)
ROOT = "driftwatch-message.proto"
WELL_KNOWN = {
    f"google/protobuf/{name}.proto": import_module(f"google.protobuf.{name}_pb2").DESCRIPTOR.serialized_pb
    for name in (
        *("any", "api", "descriptor", "duration", "empty", "field_mask"),
        *("source_context", "struct", "timestamp", "type", "wrappers"),
    )
}


def _decimal_file() -> FileDescriptorProto:
    """Confluent's decimals, which its registry knows without references."""
    package, _, name = DECIMAL.rpartition(".")
    file = FileDescriptorProto(name="confluent/type/decimal.proto", package=package, syntax="proto3")
    message = file.message_type.add(name=name)
    kinds = {"value": "TYPE_BYTES", "precision": "TYPE_UINT32", "scale": "TYPE_INT32"}
    for number, (field, kind) in enumerate(kinds.items(), 1):
        message.field.add(name=field, number=number, type=kind, label="LABEL_OPTIONAL")
    return file


WELL_KNOWN["confluent/type/decimal.proto"] = _decimal_file().SerializeToString()


def protobuf_reader(schema: str, imported: Mapping[str, str]) -> Callable[[bytes], Any]:
    """Make a function that decodes bodies written with a schema.

    Args:
        schema: a `FileDescriptorProto` in base64, as registries return it for ``?format=serialized``.
        imported: the files that it imports, directly or indirectly, in the same form, by the name of the import.

    Raises:
        MessageError: the schema cannot be used.
    """
    pool = DescriptorPool()
    try:
        file = _file(schema, ROOT)
        _add(pool, file, {name: _file(text, name) for name, text in imported.items()}, set())
    except FAULTS as error:
        raise _unusable(error) from None
    types: dict[tuple[int, ...], tuple[Any, Reader]] = {}
    sizes = BodySizes(pool, SPECIAL)

    def read(body: bytes) -> Any:
        indexes, written = message_indexes(body)
        if indexes not in types:
            name = _type_name(file, indexes)
            try:
                descriptor = pool.FindMessageTypeByName(name)
                types[indexes] = GetMessageClass(descriptor), _message_reader(descriptor, {})
            except FAULTS as error:
                raise _unusable(error) from None
        message_class, plain = types[indexes]
        sizes.require_room(written, message_class.DESCRIPTOR)
        try:
            with uncollected(len(written)):
                return plain(message_class.FromString(written))
        except (DecodeError, ArithmeticError) as error:
            raise MessageError(
                f"does not fit its schema: {error}"[:200], reason="malformed", where="protobuf"
            ) from None

    return read


def _file(schema: str, name: str) -> FileDescriptorProto:
    try:
        file = FileDescriptorProto.FromString(base64.b64decode(schema, validate=True))
    except (binascii.Error, DecodeError):
        raise MessageError(
            "is given as text only",
            reason="unsupported_format",
            where="protobuf",
            remedy="driftwatch needs a registry that knows ?format=serialized",
        ) from None
    file.name = name
    return file


def _unusable(error: Exception) -> MessageError:
    what = "is nested too deeply" if isinstance(error, RecursionError) else f"is incomplete: {error}"
    return MessageError(what[:200], reason="unsupported_format", where="protobuf")


def _add(
    pool: DescriptorPool, file: FileDescriptorProto, files: Mapping[str, FileDescriptorProto], added: set[str]
) -> None:
    """Add a file after the files that it imports."""
    for name in file.dependency:
        if name in added:
            continue
        added.add(name)
        if name in files:
            _add(pool, files[name], files, added)
        elif name in WELL_KNOWN:
            _add(pool, FileDescriptorProto.FromString(WELL_KNOWN[name]), files, added)
        else:
            # Usually it only defines options; if a type is missing, the pool reports it.
            pool.AddSerializedFile(FileDescriptorProto(name=name).SerializeToString())
    pool.AddSerializedFile(file.SerializeToString())


def _type_name(file: FileDescriptorProto, indexes: tuple[int, ...]) -> str:
    names = [file.package] if file.package else []
    types = list(file.message_type)
    for index in indexes:
        if not 0 <= index < len(types):
            raise MessageError(f"has a message type that is not in its schema, {indexes}"[:200], reason="malformed")
        names.append(types[index].name)
        # Confluent's serializer for Java does not count the nested types of map entries.
        types = [nested for nested in types[index].nested_type if not nested.options.map_entry]
    return ".".join(names)


def _message_reader(descriptor: Descriptor, known: dict[str, Reader]) -> Reader:
    """Make a function that converts a message to a mapping: all fields by name, None for absent optional ones.

    Args:
        descriptor: of the message.
        known: readers by type name, to which this one is added; a message may contain messages of its own type.
    """
    name = descriptor.full_name
    if name in SPECIAL:
        return SPECIAL[name]
    if name not in known:
        fields: list[tuple[str, Reader]] = []
        known[name] = lambda message: {field: read(message) for field, read in fields}
        fields += [(field.name, _field_reader(field, known)) for field in descriptor.fields]
    return known[name]


def _field_reader(field: FieldDescriptor, known: dict[str, Reader]) -> Reader:
    take = attrgetter(field.name)
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        one = _value_reader(kind.fields_by_name["value"], known)
        return lambda message: {str(key): one(value) for key, value in take(message).items()}
    one = _value_reader(field, known)
    if field.is_repeated:
        return lambda message: [one(value) for value in take(message)]
    if field.has_presence:
        return lambda message: one(take(message)) if message.HasField(field.name) else None
    return lambda message: one(take(message))


def _value_reader(field: FieldDescriptor, known: dict[str, Reader]) -> Reader:
    if field.message_type is not None:
        return _message_reader(field.message_type, known)
    if field.enum_type is not None:
        names = {value.number: value.name for value in field.enum_type.values}
        return lambda number: names.get(number, str(number))
    return _unchanged


def _unchanged(value: Any) -> Any:
    return value


def _seconds(message: Any) -> float:
    return float(message.seconds + message.nanos / 1e9)


def _json_value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _json_object(value.struct_value)
    if kind == "list_value":
        return _json_list(value.list_value)
    return None if kind in (None, "null_value") else getattr(value, kind)


def _json_object(message: Any) -> dict[str, Any]:
    return {key: _json_value(value) for key, value in message.fields.items()}


def _json_list(message: Any) -> list[Any]:
    return [_json_value(value) for value in message.values]


def _decimal(message: Any) -> float:
    return decimal_number(message.value, message.scale)


SPECIAL: Mapping[str, Reader] = {
    "google.protobuf.Timestamp": _seconds,
    "google.protobuf.Duration": _seconds,
    "google.protobuf.Struct": _json_object,
    "google.protobuf.Value": _json_value,
    "google.protobuf.ListValue": _json_list,
    DECIMAL: _decimal,
    **{
        f"google.protobuf.{kind}Value": attrgetter("value")
        for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
    },
}
