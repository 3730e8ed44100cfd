"""The log: one JSON object per line for machines, and never a secret."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from driftwatch.event_log import EventLog
from driftwatch.logs import configure_logging, log_to_stderr
from driftwatch.stream.events import DeadLettered


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    handlers, level, hook = logging.getLogger().handlers[:], logging.getLogger().level, threading.excepthook
    yield
    threading.excepthook = hook
    logging.basicConfig(level=level, handlers=handlers, force=True)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_lines_are_json_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    structlog.get_logger("a").info("connected", role="score", sasl_password="hunter2", Authorization="Bearer x")
    (line,) = lines(capsys)
    assert (line["event"], line["role"], line["level"]) == ("connected", "score", "info")
    assert "hunter2" not in str(line)
    assert "Bearer" not in str(line)


def test_other_libraries_are_logged_in_the_same_format(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    logging.getLogger("elsewhere").warning("of %s", "interest")
    logging.getLogger("kafka.client").warning("of none")
    logging.getLogger("botocore.credentials").info("of none")
    (line,) = lines(capsys)
    assert line["event"] == "of interest"


@pytest.mark.parametrize(
    ("library", "level"),
    [
        ("kafka.admin.client", logging.DEBUG),  # Starting KafkaAdminClient with configuration: ...
        ("kafka.protocol.parser", logging.DEBUG),  # Sending request SaslAuthenticateRequest_v2(... auth_bytes=...)
        ("kafka.net.manager", logging.DEBUG),
        ("httpx", logging.INFO),  # HTTP Request: POST https://hooks.slack.com/services/...
        ("httpcore.http11", logging.DEBUG),
        ("botocore.auth", logging.DEBUG),
    ],
)
def test_messages_of_libraries_that_contain_secrets_are_not_logged_at_debug(
    library: str, level: int, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("debug", "json")
    logging.getLogger(library).log(level, "password %s", "hunter2")
    logging.getLogger(library).log(logging.WARNING, "heard")
    (line,) = lines(capsys)
    assert line["event"] == "heard"


def test_a_command_logs_to_stderr_without_details(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr()
    structlog.get_logger("test").debug("a detail")
    structlog.get_logger("test").info("something of note")
    written = capsys.readouterr()
    assert "something of note" in written.err
    assert "a detail" not in written.err
    assert not written.out


def test_the_console_format_is_not_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "console")
    structlog.get_logger("a").warning("drift", stream="camera")
    text = capsys.readouterr().err
    assert "camera" in text
    assert not text.startswith("{")


def test_dead_letters_are_logged_at_ever_longer_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    log = EventLog()
    for _ in range(100):
        log(DeadLettered("a", "schema"))
    assert [line["count"] for line in lines(capsys)] == [1, 2, 4, 8, 16, 32, 64]


def test_repeated_messages_of_a_library_are_suppressed(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    for attempt in range(5):
        logging.getLogger("kafka.net").error(f"Bootstrap attempt {attempt} failed")  # noqa: G004 - as kafka-python does
        logging.getLogger("elsewhere").error("attempt %d failed", attempt)
    logging.getLogger("kafka.net").error("SASL authentication failed")
    events = [line["event"] for line in lines(capsys)]
    assert [each for each in events if "Bootstrap" in str(each)] == ["Bootstrap attempt 0 failed"]
    assert len([each for each in events if str(each).startswith("attempt")]) == 5
    assert events[-1] == "SASL authentication failed"


def test_a_crashed_thread_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")

    def fail() -> None:
        raise TypeError("of a fault")

    thread = threading.Thread(target=fail, name="score")
    thread.start()
    thread.join()
    (line,) = lines(capsys)
    assert (line["level"], line["thread"]) == ("critical", "score")
    assert "of a fault" in str(line["exception"])


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_crash_is_logged_with_its_place_and_without_values(
    format: Literal["json", "console"],  # noqa: A002 - the option's name
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("info", format)

    def fail() -> None:
        options = {"sasl_plain_password": "hunter2"}
        samples = [31.5]
        raise TypeError("of a fault", len(options) + len(samples))

    thread = threading.Thread(target=fail, name="score")
    thread.start()
    thread.join()
    text = capsys.readouterr().err
    assert "of a fault" in text
    assert "test_logs.py" in text
    assert "hunter2" not in text.replace('options = {"sasl_plain_password": "hunter2"}', "")
    assert "31.5]" not in text.replace("samples = [31.5]", "")
