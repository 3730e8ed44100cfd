"""How clients of Kafka connect: what a broker says last is heard."""

from __future__ import annotations

import socket
from typing import Any

import orjson
import pytest
from kafka.net.sasl import get_sasl_mechanism
from kafka.net.transport import KafkaTCPTransport

from driftwatch.config import KafkaConnection
from driftwatch.stream import connecting


def test_what_came_before_the_end_is_passed_on_before_it() -> None:
    assert connecting.RECONNECT_MS, "importing it mends the transports of this process"
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        with theirs:
            theirs.sendall(b"you may not")
        transport: Any = KafkaTCPTransport.__new__(KafkaTCPTransport)
        transport._sock, transport._closed = ours, False
        assert transport._sock_recv() == (b"you may not", None)
        data, error = transport._sock_recv()
        assert (data, str(error)) == (b"", "KafkaConnectionError: socket disconnected")


def test_brokers_of_msk_are_shown_what_aws_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("ACCESS_KEY_ID", "AKID"),
        ("SECRET_ACCESS_KEY", "pw"),
        ("SESSION_TOKEN", "t"),
        ("DEFAULT_REGION", "eu-west-1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    security = {"protocol": "SASL_SSL", "sasl_mechanism": "AWS_MSK_IAM"}
    stated = {"bootstrap_servers": ["b-1.example.com:9098"], "security": security}
    options = connecting.client_options(KafkaConnection.model_validate(stated))
    shown = get_sasl_mechanism(options["sasl_mechanism"])(host="b-1.example.com", **options)
    told = orjson.loads(shown.auth_bytes())
    assert told["host"] == "b-1.example.com"
    assert told["x-amz-credential"].startswith("AKID/")
    assert told["x-amz-credential"].endswith("/eu-west-1/kafka-cluster/aws4_request")
    assert told["x-amz-security-token"] == "t"
    assert len(told["x-amz-signature"]) == 64
