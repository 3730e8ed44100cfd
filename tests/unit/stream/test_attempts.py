"""An unreachable broker is reported with the reason, which kafka-python writes only to its log."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from kafka import KafkaAdminClient
from kafka.errors import KafkaConnectionError, KafkaTimeoutError, RequestTimedOutError, UnsupportedSaslMechanismError

from driftwatch.config import KafkaSource
from driftwatch.stream.attempts import LOGGER, RECENT_S, Attempts
from driftwatch.stream.connecting import client_options
from driftwatch.stream.losses import words_of


@pytest.fixture
def listen() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """A function that starts a server, which handles each connection as given and closes it; returns the port."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def start(greet: Callable[[socket.socket], None]) -> int:
            def serve() -> None:
                while True:
                    try:
                        connection, _ = listening.accept()
                    except OSError:
                        return
                    with connection:
                        greet(connection)

            threading.Thread(target=serve, daemon=True).start()
            return int(listening.getsockname()[1])

        yield start
        listening.shutdown(socket.SHUT_RDWR)


def hang_up(connection: socket.socket) -> None:
    connection.recv(1)


def failure(port: int, **security: Any) -> str:
    settings = {"kind": "kafka", "topic": "t", "bootstrap_servers": [f"127.0.0.1:{port}"], "security": security}
    options = client_options(KafkaSource.model_validate(settings))
    with pytest.raises(KafkaTimeoutError) as caught:
        KafkaAdminClient(bootstrap_timeout_ms=2_000, **options)
    return words_of(caught.value)


def test_a_port_that_nobody_listens_on_is_reported() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert "the last attempt to connect: 111 ECONNREFUSED" in failure(taken.getsockname()[1])


def test_an_untrusted_authority_is_reported(listen: Any, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")

    def handshake(connection: socket.socket) -> None:
        try:
            context.wrap_socket(connection, server_side=True).close()
        except OSError:
            connection.close()

    message = failure(listen(handshake), protocol="SSL", ssl_cafile=tmp_path / "ca.pem")
    assert "certificate verify failed: unable to get local issuer certificate" in message
    assert "ssl_cafile must hold the authority of the brokers' certificates" in message


def test_tls_to_a_port_without_tls_is_reported(listen: Any) -> None:
    assert "this port may not speak TLS: see protocol" in failure(listen(hang_up), protocol="SSL")


def test_a_broker_that_disconnects_is_reported(listen: Any) -> None:
    assert "brokers disconnect if TLS or SASL is missing: see protocol" in failure(listen(hang_up))


def test_a_connection_without_tls_to_a_port_with_tls_is_reported(listen: Any) -> None:
    # The alert that a TLS server sends: https://www.rfc-editor.org/rfc/rfc8446#section-6
    def alert(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(bytes([21, 3, 3, 0, 2, 2, 70]))
        connection.recv(1)

    assert "this port may speak TLS: see protocol" in failure(listen(alert))


def record(level: int, *args: Any) -> logging.LogRecord:
    return logging.LogRecord(LOGGER, level, __file__, 1, "%s " * len(args), args, None)


def test_an_old_failure_is_not_given_as_the_reason() -> None:
    now = 0.0
    attempts = Attempts(lambda: now)
    assert attempts.last_failure() == ""
    attempts.filter(record(logging.WARNING, "node", KafkaConnectionError("cut")))
    attempts.filter(record(logging.ERROR, KafkaTimeoutError("Unable to bootstrap")))
    assert attempts.last_failure() == "cut"
    now = RECENT_S
    assert attempts.last_failure() == ""


def test_an_attempt_that_is_cut_short_does_not_hide_why_those_before_it_failed() -> None:
    attempts, cut_short = Attempts(), RequestTimedOutError("Request timed out after 114 ms")
    attempts.filter(record(logging.WARNING, "node", cut_short))
    assert "Request timed out after 114 ms" in attempts.last_failure()
    attempts.filter(record(logging.WARNING, "node", UnsupportedSaslMechanismError()))
    attempts.filter(record(logging.WARNING, "node", cut_short))
    assert attempts.last_failure().endswith("see sasl_mechanism")


def test_observed_log_records_are_still_logged_at_the_configured_level(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = logging.getLogger("kafka")
    for level, written in (
        (logging.ERROR, [False, True]),
        (logging.DEBUG, [True, True]),
        (logging.CRITICAL, [False] * 2),
    ):
        monkeypatch.setattr(kafka, "level", level)
        kafka.manager._clear_cache()  # type: ignore[attr-defined]
        assert [Attempts().filter(record(each, "told")) for each in (logging.WARNING, logging.ERROR)] == written
    monkeypatch.undo()
    kafka.manager._clear_cache()  # type: ignore[attr-defined]
