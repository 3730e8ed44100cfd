"""A client of Confluent Schema Registry, or another with the same HTTP API, which fetches each schema by id once.

References:
    Confluent, "Schema Registry API Reference".
"""

from __future__ import annotations

import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from driftwatch.data.schema_framing import SchemaKey
from driftwatch.data.schema_references import MOST_BYTES, SERIALIZED, SchemaSources
from driftwatch.errors import ConfigError, MessageError, RegistryError

MOST_KEPT = 1_000
"""Schemas in the cache."""

MOST_KEPT_BYTES = 16 << 20
"""Bytes of the cached schemas' texts; parsed schemas may take thirty times as much memory."""

ANSWER_S = 30.0
"""Upper bound for a whole answer; `timeout_s` starts anew with each byte of it."""

ASK_AGAIN_S = 30.0
"""Time after which an unknown or unusable schema is requested again, since it may have been registered meanwhile."""

UNKNOWN_CODES = frozenset({40401, 40402, 40403})
"""Error codes for an unknown subject, version or schema."""

NO_REGISTRY = "does not answer like a schema registry"


@dataclass(frozen=True)
class RegisteredSchema:
    """A schema that is ready for use.

    Args:
        format: ``avro``, ``protobuf`` or ``json``.
        read: decodes a body to a record for `driftwatch.data.records`, or to JSON text; raises `MessageError`.
    """

    format: str
    read: Callable[[bytes], Any]


@dataclass(frozen=True)
class _Cached:
    found: RegisteredSchema | MessageError
    until_s: float
    size: int = 0


class SchemaRegistry:
    """A registry client, to be used by one thread.

    Args:
        urls: of the registry's members; each is used if those before it do not answer.
        client: with credentials and trusted certificates.
        destination: the addresses for display, without secrets.
        clock: monotonic, in seconds.

    Raises:
        ConfigError: the libraries for Avro and Protobuf are not installed.
    """

    def __init__(
        self, urls: Sequence[str], client: httpx.Client, destination: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        _require_extra()
        self.destination = destination
        self._urls = [url.rstrip("/") for url in urls]
        self._client = client
        self._clock = clock
        self._cache: OrderedDict[SchemaKey, _Cached] = OrderedDict()
        self._cached_bytes = 0
        self._lost = False

    def schema(self, key: SchemaKey) -> RegisteredSchema:
        """The schema of a key, which is fetched only once since schemas never change.

        Raises:
            MessageError: there is no such schema, or it cannot be used.
            RegistryError: the registry does not answer.
        """
        cached = self._cache.get(key)
        if cached is None or cached.until_s < self._clock():
            cached = self._fetch(key)
            self._store(key, cached)
        self._cache.move_to_end(key)
        if isinstance(cached.found, MessageError):
            raise cached.found.with_traceback(None)  # a traceback would keep every message alive that it was raised for
        return cached.found

    def types(self) -> list[str]:
        """The types of schemas that the registry supports, such as ``AVRO``.

        Raises:
            RegistryError: the registry does not answer.
        """
        answer = self._call("GET", "/schemas/types")
        if not isinstance(answer, list):
            raise self._lost_by(NO_REGISTRY)
        return sorted(map(str, answer))

    def register(self, subject: str, schema: str) -> int:
        """Register an Avro schema unless it is registered already; returns its id.

        Raises:
            RegistryError: the registry does not answer, or refuses it.
        """
        answer = self._call("POST", f"/subjects/{quote(subject, safe='')}/versions", {"schema": schema})
        if not isinstance(answer, dict) or not isinstance(answer.get("id"), int):
            raise self._lost_by(NO_REGISTRY)
        return int(answer["id"])

    def wait_over(self) -> None:
        """Check whether the registry is back, if it did not answer the last request.

        Raises:
            RegistryError: it still does not answer.
        """
        if self._lost:
            self.types()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _store(self, key: SchemaKey, cached: _Cached) -> None:
        if (before := self._cache.pop(key, None)) is not None:
            self._cached_bytes -= before.size
        self._cache[key] = cached
        self._cached_bytes += cached.size
        while len(self._cache) > 1 and (len(self._cache) > MOST_KEPT or self._cached_bytes > MOST_KEPT_BYTES):
            self._cached_bytes -= self._cache.popitem(last=False)[1].size

    def _fetch(self, key: SchemaKey) -> _Cached:
        path = f"/schemas/guids/{key}" if isinstance(key, UUID) else f"/schemas/ids/{key}"
        try:
            found, size = self._registered(path)
            return _Cached(found, math.inf, size)
        except MessageError as error:
            unusable = MessageError(f"schema {key} {error.what}", reason=error.reason, remedy=error.remedy)
            return _Cached(unusable, self._clock() + ASK_AGAIN_S)
        except (KeyError, TypeError, ValueError):  # malformed references
            raise self._lost_by(f"{NO_REGISTRY}: {path}") from None

    def _registered(self, path: str) -> tuple[RegisteredSchema, int]:
        """The schema at a path, and the size in bytes of its text and of all schemas that it refers to."""
        stored = self._stored(path)
        kind = stored.get("schemaType", "AVRO")
        if kind == "AVRO":
            from driftwatch.data.avro_schemas import avro_reader

            sources = SchemaSources(self._stored)
            text = sources.counted(stored)
            return RegisteredSchema("avro", avro_reader(text, list(sources.referenced(stored).values()))), sources.size
        if kind == "PROTOBUF":
            from driftwatch.data.protobuf_schemas import protobuf_reader

            sources = SchemaSources(self._stored, SERIALIZED)
            text = sources.at(path)
            return RegisteredSchema("protobuf", protobuf_reader(text, sources.referenced(stored))), sources.size
        if kind == "JSON":
            return RegisteredSchema("json", bytes), 0
        raise MessageError(
            f"is of type {kind!r}"[:100], reason="unsupported_format", remedy="expected AVRO, PROTOBUF or JSON"
        )

    def _stored(self, path: str) -> dict[str, Any]:
        answer = self._call("GET", path)
        if not isinstance(answer, dict) or not isinstance(answer.get("schema"), str):
            raise self._lost_by(f"{NO_REGISTRY}: {path}")
        return answer

    def _call(self, method: str, path: str, content: Mapping[str, str] | None = None) -> Any:
        """The answer of the first member that gives one.

        Raises:
            MessageError: there is no such schema.
            RegistryError: no member answers.
        """
        problem = ""
        for url in self._urls:
            try:
                response, answer = self._answer(method, url + path, content)
            except (httpx.HTTPError, ValueError, RecursionError) as error:
                problem = f"gives no answer: {str(error) or type(error).__name__}"
                continue
            if response.is_success:
                self._lost = False
                return answer
            said = answer if isinstance(answer, dict) else {}
            if said.get("error_code") in UNKNOWN_CODES:
                self._lost = False
                raise MessageError(
                    f"is not in the registry: {said.get('message')}"[:200],
                    reason="unknown_schema",
                    remedy=f"register it at {self.destination}, or check which registry its sender uses",
                )
            problem = f"answered {response.status_code} {said.get('message', '')}"
        raise self._lost_by(problem)

    def _answer(self, method: str, url: str, content: Mapping[str, str] | None) -> tuple[httpx.Response, Any]:
        """A response, and its JSON content.

        Raises:
            httpx.HTTPError: there is no response.
            ValueError: it is too long, takes too long, or is not JSON.
            RecursionError: its JSON is nested too deeply.
        """
        began, body = self._clock(), bytearray()
        # Not compressed, since the size of the unpacked content could not be bounded.
        with self._client.stream(method, url, json=content, headers={"accept-encoding": "identity"}) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("compressed without being requested")
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise ValueError(f"more than {MOST_BYTES >> 20} MiB")
                if self._clock() > began + ANSWER_S:
                    raise ValueError(f"incomplete after {ANSWER_S:g} s")
        return response, json.loads(body)

    def _lost_by(self, problem: str) -> RegistryError:
        self._lost = True
        return RegistryError(
            problem[:300], where=f"schema registry {self.destination}", remedy="check it, or source.schema_registry"
        )


def _require_extra() -> None:
    try:
        import fastavro  # noqa: F401
        import google.protobuf  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"needs {error.name}, which is not installed",
            where="source.schema_registry",
            remedy="pip install 'driftwatch[schema-registry]'",
        ) from None
