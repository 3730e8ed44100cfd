"""Reaches brokers: the options that every client of kafka-python needs for it, and the client for topics and groups."""

from __future__ import annotations

from typing import Any

from kafka import KafkaAdminClient
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

from driftwatch.config import KafkaConnection
from driftwatch.stream.tokens import tokens_of

CONNECT_MS = 10_000
"""How long a client that is needed at once may take to reach a broker."""

RECONNECT_MS = 1_000
"""The longest pause between attempts to connect, as in other Kafka clients; kafka-python's default of 30 s exceeds most
outages of a network or broker."""


def client_options(kafka: KafkaConnection) -> dict[str, Any]:
    """Keyword arguments for every client: addresses, and security with its secrets in clear.

    Raises:
        ConfigError: the certificates for the authorization server cannot be read.
    """
    security = kafka.security
    settings = {
        "ssl_cafile": security.ssl_cafile,
        "ssl_certfile": security.ssl_certfile,
        "ssl_keyfile": security.ssl_keyfile,
        # Without a password OpenSSL would prompt at the terminal if the key is encrypted.
        "ssl_password": security.ssl_password.get_secret_value() if security.ssl_password else "",
        "sasl_mechanism": security.sasl_mechanism,
        "sasl_plain_username": security.sasl_username,
        "sasl_plain_password": security.sasl_password and security.sasl_password.get_secret_value(),
    }
    options: dict[str, Any] = {key: str(value) for key, value in settings.items() if value is not None}
    if (tokens := tokens_of(security)) is not None:
        options["sasl_oauth_token_provider"] = tokens
    return {
        "bootstrap_servers": list(kafka.bootstrap_servers),
        "security_protocol": security.protocol,
        "reconnect_backoff_max_ms": RECONNECT_MS,
        **options,
    }


def open_admin(kafka: KafkaConnection) -> KafkaAdminClient:
    """A client that can describe and create topics.

    Raises:
        ConfigError: the certificates for the authorization server cannot be read.
        KafkaError: no broker is reached.
    """
    return KafkaAdminClient(bootstrap_timeout_ms=CONNECT_MS, **client_options(kafka))


def keep_last_data(transport: type[Any]) -> None:
    """Have connections of a type deliver data received before their end, and report the end afterwards.

    kafka-python 3.0.12 drops what it has read if the connection ends meanwhile. A broker that rejects a client says why
    and disconnects, so the reason was usually lost.
    """
    receive = transport._sock_recv

    def receive_data_first(self: Any) -> tuple[bytes, Exception | None]:
        data, error = receive(self)
        return data, None if data else error

    transport._sock_recv = receive_data_first


keep_last_data(KafkaTCPTransport)
keep_last_data(KafkaSSLTransport)
