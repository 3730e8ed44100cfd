"""A stand-in for Confluent Schema Registry: the part of its HTTP API that clients need."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import NAMESPACE_URL, UUID, uuid5

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from driftwatch.data.protobuf_schemas import WELL_KNOWN
from driftwatch.errors import MessageError
from tests.receiver import serving


@dataclass(frozen=True)
class Stored:
    """A schema as the registry stores it; for Protobuf also the descriptor, which a real registry compiles."""

    id: int
    subject: str
    version: int
    kind: str
    schema: str
    serialized: str
    references: Sequence[dict[str, Any]]

    @property
    def guid(self) -> UUID:
        return uuid5(NAMESPACE_URL, self.schema + self.subject)

    def answer(self, *, serialized: bool) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "subject": self.subject,
            "version": self.version,
            "id": self.id,
            "schema": self.serialized if serialized and self.serialized else self.schema,
        }
        if self.kind != "AVRO":  # the real registry omits it too
            fields["schemaType"] = self.kind
        return fields | ({"references": list(self.references)} if self.references else {})


class Registry(ThreadingHTTPServer):
    """A registry; `requested` lists requested paths; a nonzero `status` is the error that answers every request."""

    def __init__(self, authorization: str = "", port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.authorization = authorization
        self.status = 0
        self.requested: list[str] = []
        self.stored: dict[int, Stored] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def avro(self, subject: str, schema: Any, references: Sequence[dict[str, Any]] = ()) -> Stored:
        """Register an Avro schema."""
        return self.add(subject, "AVRO", json.dumps(schema), references)

    def protobuf(self, subject: str, file: FileDescriptorProto, references: Sequence[dict[str, Any]] = ()) -> Stored:
        """Register a Protobuf schema."""
        serialized = base64.b64encode(file.SerializeToString()).decode()
        return self.add(subject, "PROTOBUF", f'syntax = "proto3"; // {subject}', references, serialized)

    def add(
        self, subject: str, kind: str, schema: str, references: Sequence[dict[str, Any]] = (), serialized: str = ""
    ) -> Stored:
        """Register a schema of any type; a schema that is already registered keeps its id."""
        same = [each for each in self.stored.values() if (each.subject, each.schema) == (subject, schema)]
        if same:
            return same[0]
        number = len(self.stored) + 1
        version = 1 + sum(each.subject == subject for each in self.stored.values())
        entry = Stored(number, subject, version, kind, schema, serialized, references)
        self.stored[number] = entry
        return entry


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        registry = self._registry()
        parts = urlsplit(self.path)
        serialized = parse_qs(parts.query).get("format") == ["serialized"]
        stored = list(registry.stored.values())
        if self._refused():
            return
        if parts.path == "/schemas/types":
            self._answer(200, ["JSON", "PROTOBUF", "AVRO"])
        elif found := re.fullmatch(r"/schemas/(ids|guids)/([0-9a-f-]+)", parts.path):
            by = (lambda each: str(each.id)) if found[1] == "ids" else (lambda each: str(each.guid))
            self._schema([each for each in stored if by(each) == found[2]], 40403, serialized=serialized)
        elif found := re.fullmatch(r"/subjects/([^/]+)/versions/(\d+)", parts.path):
            place = (unquote(found[1]), int(found[2]))
            self._schema([each for each in stored if (each.subject, each.version) == place], 40402, serialized=False)
        else:
            self._answer(404, {"error_code": 404, "message": "HTTP 404 Not Found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self._refused():
            return
        subject = unquote(urlsplit(self.path).path.split("/")[2])
        entry = self._registry().add(subject, body.get("schemaType", "AVRO"), body["schema"])
        self._answer(200, {"id": entry.id})

    def _registry(self) -> Registry:
        assert isinstance(self.server, Registry)
        return self.server

    def _refused(self) -> bool:
        registry = self._registry()
        registry.requested.append(self.path)
        if registry.status:
            self._answer(registry.status, {"error_code": registry.status, "message": "not now"})
        elif registry.authorization and self.headers.get("authorization") != registry.authorization:
            self._answer(401, {"error_code": 401, "message": "Unauthorized"})
        else:
            return False
        return True

    def _schema(self, found: list[Stored], unknown: int, *, serialized: bool) -> None:
        if found:
            self._answer(200, found[0].answer(serialized=serialized))
        else:
            self._answer(404, {"error_code": unknown, "message": "Schema not found"})

    def _answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/vnd.schemaregistry.v1+json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running_registry(authorization: str = "", port: int = 0) -> Iterator[Registry]:
    """A running registry, on a free port unless one is given."""
    with serving(Registry(authorization, port)) as server:
        yield server


def refused_for(read: Callable[[bytes], Any], body: bytes) -> str:
    """The reason for which a body is refused; empty if it is accepted. Any error but a `MessageError` propagates."""
    try:
        read(body)
    except MessageError as error:
        return error.reason
    return ""


def proto_file(package: str = "", imports: Sequence[str] = (), name: str = "default") -> FileDescriptorProto:
    """A file without messages, named as a registry names it."""
    return FileDescriptorProto(name=name, package=package, syntax="proto3", dependency=imports)


def add_fields(message: Any, **kinds: str) -> None:
    """Add fields to a message's descriptor: ``double``, ``repeated float``, ``optional int64``, or ``.pkg.Type``."""
    for number, (name, declared) in enumerate(kinds.items(), 1 + len(message.field)):
        label, _, kind = declared.rpartition(" ")
        field = message.field.add(name=name, number=number, label="LABEL_OPTIONAL")
        if label == "repeated":
            field.label = FieldDescriptorProto.LABEL_REPEATED
        if label == "optional":
            field.proto3_optional = True
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{name}")
        if kind.startswith("."):
            field.type_name = kind
        else:
            field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")


def message_class(file: FileDescriptorProto, name: str) -> Any:
    """The class of a message of a file whose imports are all well-known types."""
    pool = DescriptorPool()
    for name_of_import in file.dependency:
        pool.AddSerializedFile(WELL_KNOWN[name_of_import])
    pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName(name))
