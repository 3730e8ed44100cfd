"""Confluent Schema Registry, or another that speaks its HTTP API: schemas by their ids, each asked for once.

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
MOST_KEPT_BYTES = 16 << 20
"""Of the texts of those that are kept; parsed they may take thirty times as much."""

ANSWER_S = 30.0
"""How long an answer may take: `timeout_s` begins anew with each byte of it."""

ASK_AGAIN_S = 30.0
"""After which a schema that could not be had or used is asked for again: it may have been registered since."""

UNKNOWN_CODES = frozenset({40401, 40402, 40403})
"""No such subject, version, schema."""


@dataclass(frozen=True)
class RegisteredSchema:
    """A schema, ready for use.

    Args:
        format: ``avro``, ``protobuf`` or ``json``.
        read: what a body holds, for `driftwatch.data.records`, or the JSON text; raises `MessageError`.
    """

    format: str
    read: Callable[[bytes], Any]


@dataclass(frozen=True)
class _Kept:
    found: RegisteredSchema | MessageError
    until_s: float
    size: int = 0


class SchemaRegistry:
    """A registry, asked by one thread.

    Args:
        urls: of its members; each is asked where those before it do not answer.
        client: that says who it is and checks whom it talks to.
        told: the addresses for people, without secrets.
        clock: that never goes back, seconds.

    Raises:
        ConfigError: what reads Avro and Protobuf is not installed.
    """

    def __init__(
        self, urls: Sequence[str], client: httpx.Client, told: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        _require_extra()
        self.told = told
        self._urls = [url.rstrip("/") for url in urls]
        self._client = client
        self._clock = clock
        self._kept: OrderedDict[SchemaKey, _Kept] = OrderedDict()
        self._kept_bytes = 0
        self._lost = False

    def schema(self, key: SchemaKey) -> RegisteredSchema:
        """The schema of a key. A schema never changes, so it is asked for once.

        Raises:
            MessageError: there is no such schema, or it cannot be used.
            RegistryError: the registry does not answer.
        """
        kept = self._kept.get(key)
        if kept is None or kept.until_s < self._clock():
            kept = self._ask(key)
            self._keep(key, kept)
        self._kept.move_to_end(key)
        if isinstance(kept.found, MessageError):
            raise kept.found.with_traceback(None)  # else it would hold on to every message it was raised for
        return kept.found

    def types(self) -> list[str]:
        """The types of schemas that the registry says it takes, such as ``AVRO``.

        Raises:
            RegistryError: it does not answer.
        """
        answer = self._call("GET", "/schemas/types")
        if not isinstance(answer, list):
            raise self._lost_by("answers as no schema registry does")
        return sorted(map(str, answer))

    def register(self, subject: str, schema: str) -> int:
        """The id of an Avro schema, which is registered if it is not there yet.

        Raises:
            RegistryError: the registry does not answer, or refuses it.
        """
        answer = self._call("POST", f"/subjects/{quote(subject, safe='')}/versions", {"schema": schema})
        if not isinstance(answer, dict) or not isinstance(answer.get("id"), int):
            raise self._lost_by("answers as no schema registry does")
        return int(answer["id"])

    def wait_over(self) -> None:
        """Asks whether the registry is back, if it did not answer when it was asked last.

        Raises:
            RegistryError: it is not.
        """
        if self._lost:
            self.types()

    def close(self) -> None:
        """Lets go of its connections."""
        self._client.close()

    def _keep(self, key: SchemaKey, kept: _Kept) -> None:
        if (before := self._kept.pop(key, None)) is not None:
            self._kept_bytes -= before.size
        self._kept[key] = kept
        self._kept_bytes += kept.size
        while len(self._kept) > 1 and (len(self._kept) > MOST_KEPT or self._kept_bytes > MOST_KEPT_BYTES):
            self._kept_bytes -= self._kept.popitem(last=False)[1].size

    def _ask(self, key: SchemaKey) -> _Kept:
        path = f"/schemas/guids/{key}" if isinstance(key, UUID) else f"/schemas/ids/{key}"
        try:
            found, size = self._registered(path)
            return _Kept(found, math.inf, size)
        except MessageError as error:
            told = MessageError(f"schema {key} {error.what}", reason=error.reason, remedy=error.remedy)
            return _Kept(told, self._clock() + ASK_AGAIN_S)
        except (KeyError, TypeError, ValueError):  # of references
            raise self._lost_by(f"answers {path} as no schema registry does") from None

    def _registered(self, path: str) -> tuple[RegisteredSchema, int]:
        """The schema at a path, and the bytes of its text and of those that it refers to."""
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
            raise self._lost_by(f"answers {path} as no schema registry does")
        return answer

    def _call(self, method: str, path: str, content: Mapping[str, str] | None = None) -> Any:
        """What the first member that answers says.

        Raises:
            MessageError: it knows no such thing.
            RegistryError: none answers.
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
                    remedy=f"register it at {self.told}, or see which registry its sender uses",
                )
            problem = f"answered {response.status_code} {said.get('message', '')}"
        raise self._lost_by(problem)

    def _answer(self, method: str, url: str, content: Mapping[str, str] | None) -> tuple[httpx.Response, Any]:
        """An answer, and what it holds.

        Raises:
            httpx.HTTPError: there is none.
            ValueError: it is too long, takes too long, or is no JSON.
            RecursionError: its JSON is nested too deeply.
        """
        began, body = self._clock(), bytearray()
        # Not compressed, for what it unpacks to could not be bounded.
        with self._client.stream(method, url, json=content, headers={"accept-encoding": "identity"}) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("compressed, though it should not be")
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise ValueError(f"more than {MOST_BYTES >> 20} MiB")
                if self._clock() > began + ANSWER_S:
                    raise ValueError(f"not whole after {ANSWER_S:g} s")
        return response, json.loads(body)

    def _lost_by(self, problem: str) -> RegistryError:
        self._lost = True
        return RegistryError(
            problem[:300], where=f"schema registry {self.told}", remedy="see to it, or to source.schema_registry"
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
