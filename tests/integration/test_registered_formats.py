"""Avro and Protobuf with a schema registry that is down for a while."""

from __future__ import annotations

import io
from pathlib import Path

import fastavro
import numpy as np
import yaml

from driftwatch.stream.pane_codec import decode_pane
from tests.forked import run as driftwatch
from tests.integration.conftest import Cluster, StartDaemon
from tests.registry import Registry, add_fields, proto_file, running_registry
from tests.synthetic import waves

STEP = 10
IMAGE = {
    "type": "record",
    "name": "Image",
    "fields": [{"name": "camera", "type": "string"}, {"name": "pixels", "type": "bytes"}],
}

Messages = list[tuple[bytes, dict[str, bytes]]]


def avro_messages(registry: Registry, stream: str, count: int) -> Messages:
    prefix = b"\x00" + registry.avro(f"{stream}-value", IMAGE).id.to_bytes(4, "big")
    schema, messages = fastavro.parse_schema(IMAGE), []
    for image in waves(count, seed=1).astype(np.uint8):
        body = io.BytesIO()
        fastavro.schemaless_writer(body, schema, {"camera": "north", "pixels": image.tobytes()})
        messages.append((prefix + body.getvalue(), {"driftwatch-stream": stream.encode()}))
    return messages


def protobuf_messages(registry: Registry, stream: str, count: int) -> Messages:
    file = proto_file("shop")
    add_fields(file.message_type.add(name="Image"), pixels="bytes")
    prefix = b"\x00" + registry.protobuf(f"{stream}-value", file).id.to_bytes(4, "big") + b"\x00"
    images = waves(count, seed=2).astype(np.uint8)
    return [(prefix + b"\x0a\x40" + image.tobytes(), {"driftwatch-stream": stream.encode()}) for image in images]


def test_streams_in_two_formats_survive_an_outage_of_their_registry(
    cluster: Cluster, bundle: Path, start_daemon: StartDaemon, tmp_path: Path
) -> None:
    cluster.create()
    with running_registry("Bearer of schemas") as registry:
        registry_config = {"url": registry.url, "bearer_token": "of schemas"}
        config = {
            "source": cluster.source(schema_registry=registry_config),
            "streams": [
                {"name": "avro", "reference": str(bundle), "format": "avro"},
                {"name": "protobuf", "reference": str(bundle)},
            ],
            "windows": {"sizes": [20, 100], "step": STEP},
        }
        file = tmp_path / "registry.yaml"
        file.write_text(yaml.safe_dump(config))
        assert f"registry       {registry.url}: AVRO, JSON, PROTOBUF" in driftwatch("check", file)

        sent = avro_messages(registry, "avro", 2 * STEP)
        cluster.send(sent)
        daemon = start_daemon(config)
        daemon.wait_for("samples", lambda: daemon.metric('driftwatch_samples_total{stream="avro"') == 2 * STEP)

        registry.status = 503
        unknown = (b"\x00\x00\x00\x00\x63rest", {"driftwatch-stream": b"avro"})
        cluster.send([*protobuf_messages(registry, "protobuf", 2 * STEP), unknown])
        daemon.wait_for("unreadiness", lambda: daemon.get("/readyz").status_code == 503)
        assert f"schema registry {registry.url}: answered 503" in daemon.get("/readyz").text
        assert daemon.get("/healthz").status_code == 200
        assert daemon.metric("driftwatch_dead_letters_total") == 0
        registry.status = 0

        panes = [decode_pane(pane.value) for pane in cluster.read("panes", lambda found: len(found) >= 4)]
        dead = cluster.read("dead_letters", lambda found: len(found) >= 1)
        daemon.wait_for("readiness", lambda: daemon.get("/readyz").status_code == 200)
    assert {(pane.stream, pane.n) for pane in panes} == {("avro", STEP), ("protobuf", STEP)}
    assert [dict(letter.headers)["driftwatch-reason"] for letter in dead] == [b"unknown_schema"]
    assert daemon.metric("driftwatch_samples_total") == 4 * STEP
    assert registry.requested.count("/schemas/ids/1") == 1, "a schema is requested once"
    # The registry is gone by now, and is not needed for known schemas.
    cluster.send(sent[:STEP])
    daemon.wait_for("more", lambda: daemon.metric("driftwatch_samples_total") == 5 * STEP)
