"""Why brokers could not be reached: kafka-python tries on until the time is over, and says why in its log alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from kafka.errors import KafkaTimeoutError

LOGGER = "kafka.net.manager"
RECENT_S = 30.0
"""After which an attempt says nothing of what is the matter now; pauses between two are a second."""

REMEDIES = (
    (
        ("unable to get", "self-signed", "self signed"),
        "ssl_cafile is to hold the authority of the brokers' certificates",
    ),
    (("WRONG_VERSION_NUMBER", "EOF occurred", "Handshake failed: [Errno"), "this port may not speak TLS: see protocol"),
    (("Invalid frame length",), "this port may speak TLS: see protocol"),
    (("invalid_token",), "brokers do not believe the token: see its audience, scope, issuer and time"),
    (("Invalid username or password", "invalid credentials"), "see sasl_username and sasl_password"),
    (("get_frozen_credentials",), "no credentials of AWS: see its environment variables, profile, or the pod's role"),
    (("UNSUPPORTED_SASL_MECHANISM", "UnsupportedSaslMechanism"), "see sasl_mechanism"),
    (("socket disconnected", "Connection reset"), "brokers hang up where TLS or SASL is missing: see protocol"),
)
"""What to look at in the configuration's ``security``, by what an attempt failed of."""


class Attempts(logging.Filter):
    """Listens to what kafka-python logs of its attempts, and remembers why the last one failed.

    Args:
        clock: a clock that never goes back, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._failed_s, self._failure = -RECENT_S, ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is to be written: as if kafka-python's loggers had but one level."""
        for each in record.args or ():
            # That the time is over is known, and is what a reason is wanted for.
            if isinstance(each, BaseException) and not isinstance(each, KafkaTimeoutError):
                self._failed_s, self._failure = self._clock(), _words(each)
        return record.levelno >= logging.getLogger("kafka").getEffectiveLevel()

    def last_failure(self) -> str:
        """Why the last attempt failed, with what to look at; empty if none has failed of late."""
        return self._failure if self._clock() - self._failed_s < RECENT_S else ""


def _words(failure: BaseException) -> str:
    told = " ".join((str(failure) or type(failure).__name__).split())
    told = told.removeprefix(f"{type(failure).__name__}: ")
    remedy = next((then for signs, then in REMEDIES if any(sign in told for sign in signs)), "")
    return f"{told}; {remedy}" if remedy else told


def _listen() -> Attempts:
    attempts, logger = Attempts(), logging.getLogger(LOGGER)
    # What is written of it is for the filter to say; of what is less grave nothing fails.
    logger.setLevel(logging.INFO)
    logger.addFilter(attempts)
    return attempts


last_failure = _listen().last_failure
