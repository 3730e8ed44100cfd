"""How Kafka clients connect: the last message of a broker is received, and AWS credentials are signed."""

from __future__ import annotations

import socket
from typing import Any

import orjson
import pytest
from kafka.net.sasl import get_sasl_mechanism
from kafka.net.transport import KafkaTCPTransport

from driftwatch.config import KafkaConnection
from driftwatch.stream import connecting


def test_data_received_before_a_disconnect_are_passed_on() -> None:
    assert connecting.RECONNECT_MS, "importing the module patches the transports of this process"
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


def test_msk_brokers_receive_a_request_signed_for_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("ACCESS_KEY_ID", "AKID"),
        ("SECRET_ACCESS_KEY", "pw"),
        ("SESSION_TOKEN", "t"),
        ("DEFAULT_REGION", "eu-west-1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    security = {"protocol": "SASL_SSL", "sasl_mechanism": "AWS_MSK_IAM"}
    settings = {"bootstrap_servers": ["b-1.example.com:9098"], "security": security}
    options = connecting.client_options(KafkaConnection.model_validate(settings))
    mechanism = get_sasl_mechanism(options["sasl_mechanism"])(host="b-1.example.com", **options)
    request = orjson.loads(mechanism.auth_bytes())
    assert request["host"] == "b-1.example.com"
    assert request["x-amz-credential"].startswith("AKID/")
    assert request["x-amz-credential"].endswith("/eu-west-1/kafka-cluster/aws4_request")
    assert request["x-amz-security-token"] == "t"
    assert len(request["x-amz-signature"]) == 64
