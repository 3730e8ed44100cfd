"""What kafka-python needs to reach brokers: addresses, and security with its secrets in clear."""

from __future__ import annotations

from typing import Any

from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

from driftwatch.config import KafkaConnection
from driftwatch.stream.tokens import tokens_of

RECONNECT_MS = 1_000
"""The longest pause between attempts to connect, as other Kafka clients have it; kafka-python's own 30 s outlast most
of what a network or a broker is away."""


def client_options(kafka: KafkaConnection) -> dict[str, Any]:
    """Keyword arguments of every client of kafka-python.

    Raises:
        ConfigError: the certificates that an authorization server is to have cannot be read.
    """
    security = kafka.security
    stated = {
        "ssl_cafile": security.ssl_cafile,
        "ssl_certfile": security.ssl_certfile,
        "ssl_keyfile": security.ssl_keyfile,
        # Without one OpenSSL would ask for that of an encrypted key at the terminal.
        "ssl_password": security.ssl_password.get_secret_value() if security.ssl_password else "",
        "sasl_mechanism": security.sasl_mechanism,
        "sasl_plain_username": security.sasl_username,
        "sasl_plain_password": security.sasl_password and security.sasl_password.get_secret_value(),
    }
    options: dict[str, Any] = {key: str(value) for key, value in stated.items() if value is not None}
    if (tokens := tokens_of(security)) is not None:
        options["sasl_oauth_token_provider"] = tokens
    return {
        "bootstrap_servers": list(kafka.bootstrap_servers),
        "security_protocol": security.protocol,
        "reconnect_backoff_max_ms": RECONNECT_MS,
        **options,
    }


def heed_last_words(transport: type[Any]) -> None:
    """Has connections of a kind pass on what came before their end, and tell of that end afterwards.

    kafka-python 3.0.12 drops what it has read if the connection ends meanwhile. A broker that refuses a client says why
    and hangs up, so that the reason was lost unless it was read before that.
    """
    receive = transport._sock_recv

    def receive_data_first(self: Any) -> tuple[bytes, Exception | None]:
        data, error = receive(self)
        return data, None if data else error

    transport._sock_recv = receive_data_first


heed_last_words(KafkaTCPTransport)
heed_last_words(KafkaSSLTransport)
