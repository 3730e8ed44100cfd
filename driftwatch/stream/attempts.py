"""Why brokers could not be reached: kafka-python retries until its time-out, and gives the reasons only in its log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from kafka.errors import KafkaTimeoutError, RequestTimedOutError

LOGGER = "kafka.net.manager"
RECENT_S = 30.0
"""An attempt older than this no longer says what is wrong; the pause between attempts is a second."""

REMEDIES = (
    (
        ("unable to get", "self-signed", "self signed"),
        "ssl_cafile must hold the authority of the brokers' certificates",
    ),
    (("WRONG_VERSION_NUMBER", "EOF occurred", "Handshake failed: [Errno"), "this port may not speak TLS: see protocol"),
    (("Invalid frame length",), "this port may speak TLS: see protocol"),
    (("invalid_token",), "the brokers reject the token: see its audience, scope, issuer and time"),
    (("Invalid username or password", "invalid credentials"), "see sasl_username and sasl_password"),
    (
        ("get_frozen_credentials",),
        "no AWS credentials found: see the environment variables, the profile or the pod's role",
    ),
    (("UNSUPPORTED_SASL_MECHANISM", "UnsupportedSaslMechanism"), "see sasl_mechanism"),
    (("socket disconnected", "Connection reset"), "brokers disconnect if TLS or SASL is missing: see protocol"),
)
"""What to check in ``security``, by how an attempt failed."""


class Attempts(logging.Filter):
    """Watches kafka-python's log of connection attempts, and remembers why the last one failed.

    Args:
        clock: monotonic, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._failed_s, self._failure = -RECENT_S, ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write a log record: by the level of kafka-python's root logger."""
        for each in record.args or ():
            # The time-out itself is known; what is wanted is the reason behind it. The attempt that it cuts short says
            # nothing of why those before it failed.
            known = isinstance(each, KafkaTimeoutError) or (
                isinstance(each, RequestTimedOutError) and self.last_failure() != ""
            )
            if isinstance(each, BaseException) and not known:
                self._failed_s, self._failure = self._clock(), _words(each)
        return record.levelno >= logging.getLogger("kafka").getEffectiveLevel()

    def last_failure(self) -> str:
        """Why the last attempt failed, and what to check; empty if none failed recently."""
        return self._failure if self._clock() - self._failed_s < RECENT_S else ""


def _words(failure: BaseException) -> str:
    words = " ".join((str(failure) or type(failure).__name__).split())
    words = words.removeprefix(f"{type(failure).__name__}: ")
    remedy = next((then for signs, then in REMEDIES if any(sign in words for sign in signs)), "")
    return f"{words}; {remedy}" if remedy else words


def _attach() -> Attempts:
    attempts, logger = Attempts(), logging.getLogger(LOGGER)
    # The level is low so that the filter sees all failures, and decides what is written. None are logged below it.
    logger.setLevel(logging.INFO)
    logger.addFilter(attempts)
    return attempts


last_failure = _attach().last_failure
