"""Large bodies are parsed with the garbage collector paused: it would traverse all objects made so far."""

from __future__ import annotations

import base64
import gc
import io
import json
from collections.abc import Callable
from typing import Any

import fastavro
import pytest

from driftwatch.data.avro_schemas import avro_reader
from driftwatch.data.collecting import LARGE, uncollected
from driftwatch.data.json_bodies import load_json
from driftwatch.data.protobuf_schemas import protobuf_reader
from driftwatch.errors import MessageError
from tests.registry import add_fields, proto_file

LISTS = 120_000


def parse_json() -> Any:
    return load_json(b"[" + b"[],        " * LISTS + b"[]]")


def parse_avro() -> Any:
    row = {"type": "record", "name": "Row", "fields": [{"name": "v", "type": {"type": "array", "items": "string"}}]}
    schema = {"type": "array", "items": row}
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), [{"v": ["seven.."]}] * LISTS)
    return avro_reader(json.dumps(schema), [])(body.getvalue())


def parse_protobuf() -> Any:
    file = proto_file()
    add_fields(file.message_type.add(name="Batch"), rows="repeated .Row")
    add_fields(file.message_type.add(name="Row"), v="repeated string")
    body = b"\x00" + b"\x0a\x09\x0a\x07seven.." * LISTS
    return protobuf_reader(base64.b64encode(file.SerializeToString()).decode(), {})(body)


@pytest.mark.parametrize("parse", [parse_json, parse_avro, parse_protobuf])
def test_the_collector_is_paused_while_a_large_body_is_parsed(parse: Callable[[], Any]) -> None:
    collected = list[str]()

    def note(phase: str, _: object) -> None:
        collected.append(phase)

    gc.callbacks.append(note)
    try:
        parsed = parse()
    finally:
        gc.callbacks.remove(note)
    assert len(parsed["rows"] if isinstance(parsed, dict) else parsed) >= LISTS
    assert len(collected) < 20, "otherwise once for each 700 lists"
    assert gc.isenabled()


def test_the_collector_is_restored_afterwards_also_after_an_error() -> None:
    with pytest.raises(MessageError):
        load_json(b"[" + b"[]," * LARGE)
    assert gc.isenabled()
    gc.disable()
    try:
        with uncollected(LARGE):
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
