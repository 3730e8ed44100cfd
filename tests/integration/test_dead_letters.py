"""Malformed messages among good ones: each is kept with its reason, and no good sample is lost."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
from kafka import KafkaAdminClient, KafkaProducer

from driftwatch.data.codecs import encode
from driftwatch.reference.reference import Reference
from driftwatch.stream.events import SamplesScored
from driftwatch.stream.pane_codec import decode_pane
from tests.integration.conftest import Cluster, StartDaemon
from tests.integration.test_recovery import config, messages
from tests.synthetic import SCHEMA, waves
from tests.threads import daemon_of, running

STREAM = {"driftwatch-stream": b"waves"}
JSON = {"content-type": b"application/json", **STREAM}

MALFORMED = (
    (b"", STREAM, "empty"),
    (b"\x00\xff\xfe", STREAM, "malformed"),
    (b"\x00\x00\x00\x00\x07\x02", STREAM, "unsupported_format"),
    (b"{", JSON, "malformed"),
    (b'{"instances": [[1, 2, 3]]}', JSON, "shape"),
    (b'{"instances": "none"}', JSON, "schema"),
    (b"[" * 5_000, JSON, "malformed"),
    (b'{"inputs": [{"name": "x", "shape": [99999999999], "datatype": "FP32", "data": [1]}]}', JSON, "shape"),
    (b"x,y\n1,2\n", {"content-type": b"text/csv", **STREAM}, "unsupported_format"),
    (b'{"instances": []}', {"driftwatch-stream": b"of nobody"}, "unknown_stream"),
    (b"\x93NUMPY\x01\x00", STREAM, "malformed"),
)


def test_a_thousand_malformed_messages_lose_no_good_one(
    cluster: Cluster, bundle: Path, start_daemon: StartDaemon
) -> None:
    cluster.create()
    rng = np.random.default_rng(0)
    good = waves(1_000, seed=5)
    sent: list[tuple[bytes, dict[str, bytes]]] = []
    for start in range(0, len(good), 10):
        value, headers = encode(good[start : start + 10], SCHEMA, "npy")
        sent.append((value, {**headers, **STREAM}))
    too_bright, headers = encode(good[:2], SCHEMA.model_copy(update={"dtype": "float32"}), "npy")
    malformed = [
        *MALFORMED,
        (too_bright.replace(too_bright[-4:], b"\x00\x00\xc0\x7f"), {**headers, **STREAM}, "non_finite"),
    ]
    expected: dict[str, int] = {}
    for number in range(1_000):
        value, headers_sent, reason = malformed[number % len(malformed)]
        sent.insert(int(rng.integers(0, len(sent) + 1)), (value, dict(headers_sent)))
        expected[reason] = expected.get(reason, 0) + 1
    # Good messages keep their order: only the positions between them are random.
    cluster.send(sent)
    daemon = start_daemon(
        {
            "source": cluster.source(),
            "streams": [{"name": "waves", "reference": str(bundle)}],
            "windows": {"sizes": [20, 100], "step": 10},
        }
    )
    dead = cluster.read("dead_letters", lambda found: len(found) >= 1_000)
    panes = [decode_pane(pane.value) for pane in cluster.read("panes", lambda found: len(found) >= 100)]

    assert len(dead) == 1_000
    assert sum(pane.n for pane in panes) == len(good)
    reasons: dict[str, int] = {}
    for letter in dead:
        headers = dict(letter.headers)
        reason = headers["driftwatch-reason"].decode()
        reasons[reason] = reasons.get(reason, 0) + 1
        value, _ = sent[int(headers["driftwatch-offset"])]
        assert letter.value == value, "a dead letter is the unchanged message"
        assert headers["driftwatch-error"]
    assert reasons == expected
    daemon.wait_for("all counted", lambda: daemon.metric("driftwatch_dead_letters_total") == 1_000)
    assert daemon.metric("driftwatch_samples_total") == len(good)
    assert daemon.get("/readyz").status_code == 200


def test_a_message_that_is_too_long_for_the_dead_letters_holds_up_no_others(
    cluster: Cluster, bundle: Path, reference: Reference
) -> None:
    """Compressed it fits into the input topic; as a dead letter it is longer than the dead-letter topic takes."""
    cluster.create()
    letters = {cluster.named("dead_letters"): {"num_partitions": 1, "configs": {"max.message.bytes": "1048588"}}}
    with closing(KafkaAdminClient(bootstrap_servers=cluster.bootstrap)) as admin:
        admin.create_topics(letters, wait_for_metadata=True)
    unusable = b'{"instances": "' + bytes(3_000_000) + b'"}'
    with closing(
        KafkaProducer(bootstrap_servers=cluster.bootstrap, compression_type="gzip", max_request_size=4 << 20)
    ) as producer:
        producer.send(cluster.topic, unusable, key=b"key", headers=list(STREAM.items())).get(timeout=10)
    cluster.send(messages(waves(70, seed=5)))
    with running(daemon_of(config(cluster, bundle), reference), "score") as daemon:
        daemon.wait_for("samples", lambda: sum(event.samples for event in daemon.seen(SamplesScored)) == 70)
    (letter,) = cluster.read_all(cluster.named("dead_letters"))
    headers = dict(letter.headers)
    assert (letter.key, letter.value, headers["driftwatch-stream"]) == (b"key", b"", b"waves")
    assert headers["driftwatch-bytes"] == str(len(unusable)).encode()
