"""The log: one JSON object a line for machines, and never a secret."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from driftwatch.event_log import EventLog
from driftwatch.logs import configure_logging
from driftwatch.stream.events import DeadLettered


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    handlers, level, hook = logging.getLogger().handlers[:], logging.getLogger().level, threading.excepthook
    yield
    threading.excepthook = hook
    logging.basicConfig(level=level, handlers=handlers, force=True)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_lines_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    structlog.get_logger("a").info("connected", role="score", sasl_password="hunter2", Authorization="Bearer x")
    (told,) = lines(capsys)
    assert (told["event"], told["role"], told["level"]) == ("connected", "score", "info")
    assert "hunter2" not in str(told)
    assert "Bearer" not in str(told)


def test_other_libraries_go_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    logging.getLogger("elsewhere").warning("of %s", "interest")
    logging.getLogger("kafka.client").warning("of none")
    logging.getLogger("botocore.credentials").info("of none")
    (told,) = lines(capsys)
    assert told["event"] == "of interest"


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
def test_what_libraries_tell_of_secrets_is_not_heard_at_debug(
    library: str, level: int, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("debug", "json")
    logging.getLogger(library).log(level, "password %s", "hunter2")
    logging.getLogger(library).log(logging.WARNING, "heard")
    (told,) = lines(capsys)
    assert told["event"] == "heard"


def test_people_get_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "console")
    structlog.get_logger("a").warning("drift", stream="camera")
    told = capsys.readouterr().err
    assert "camera" in told
    assert not told.startswith("{")


def test_dead_letters_are_logged_ever_more_seldom(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    log = EventLog()
    for _ in range(100):
        log(DeadLettered("a", "schema"))
    assert [line["count"] for line in lines(capsys)] == [1, 2, 4, 8, 16, 32, 64]


def test_a_library_repeats_itself_but_seldom(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    for attempt in range(5):
        logging.getLogger("kafka.net").error(f"Bootstrap attempt {attempt} failed")  # noqa: G004 - as kafka-python does
        logging.getLogger("elsewhere").error("attempt %d failed", attempt)
    logging.getLogger("kafka.net").error("SASL authentication failed")
    told = [line["event"] for line in lines(capsys)]
    assert [each for each in told if "Bootstrap" in str(each)] == ["Bootstrap attempt 0 failed"]
    assert len([each for each in told if str(each).startswith("attempt")]) == 5
    assert told[-1] == "SASL authentication failed"


def test_a_crashed_thread_is_told_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")

    def fail() -> None:
        raise TypeError("of a fault")

    thread = threading.Thread(target=fail, name="score")
    thread.start()
    thread.join()
    (told,) = lines(capsys)
    assert (told["level"], told["thread"]) == ("critical", "score")
    assert "of a fault" in str(told["exception"])


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_crash_tells_where_and_not_with_what(
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
    told = capsys.readouterr().err
    assert "of a fault" in told
    assert "test_logs.py" in told
    assert "hunter2" not in told.replace('options = {"sasl_plain_password": "hunter2"}', "")
    assert "31.5]" not in told.replace("samples = [31.5]", "")
