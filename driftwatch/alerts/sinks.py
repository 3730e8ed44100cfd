"""Sinks: one way each to tell people, or other programs, of an alert."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

import httpx
import structlog
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from driftwatch.config import LogSinkConfig, SinkConfig, WebhookSinkConfig
from driftwatch.errors import SinkError
from driftwatch.stream.alert import CONTENT_TYPE, Alert, encode_alert

LONGEST_WAIT_S = 60.0
RETRIED_STATUS = frozenset({408, 425, 429})

log = structlog.get_logger("driftwatch.alerts")


class Sink(Protocol):
    """Takes alerts, one at a time."""

    name: str

    def deliver(self, alert: Alert, stop: threading.Event) -> None:
        """Delivers an alert, trying again as often as configured, or until `stop` is set.

        Raises:
            SinkError: it did not arrive.
        """

    def close(self) -> None:
        """Lets go of connections."""


class _TryAgain(Exception):  # noqa: N818 - only ever between two attempts
    """The receiver may take it later."""


class WebhookSink:
    """Posts each alert as a structured CloudEvent.

    Args:
        config: address, headers and patience.
        name: for logs and metrics; the address may hold secrets.
    """

    def __init__(self, config: WebhookSinkConfig, name: str = "webhook") -> None:
        self.name = name
        self._config = config
        self._client = httpx.Client(timeout=config.timeout_s, headers=config.headers)

    def deliver(self, alert: Alert, stop: threading.Event) -> None:
        """See `Sink.deliver`: waits between attempts double, with jitter, to at most a minute."""
        body = encode_alert(alert)
        retrying = Retrying(
            retry=retry_if_exception_type(_TryAgain),
            stop=stop_after_attempt(self._config.max_attempts) | stop_when_event_set(stop),
            wait=wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT_S),
            sleep=sleep_using_event(stop),
        )
        try:
            retrying(self._post, body)
        except RetryError as error:
            attempt = error.last_attempt
            raise SinkError(
                f"{attempt.exception()}, after {attempt.attempt_number} attempts", where=f"sink {self.name}"
            ) from None

    def close(self) -> None:
        """Closes connections."""
        self._client.close()

    def _post(self, body: bytes) -> None:
        try:
            response = self._client.post(self._config.url, content=body, headers={"content-type": CONTENT_TYPE})
        except httpx.HTTPError as error:
            raise _TryAgain(f"{type(error).__name__}: {error}") from None
        if response.status_code in RETRIED_STATUS or response.status_code >= 500:
            raise _TryAgain(f"answered {response.status_code}")
        if not response.is_success:
            raise SinkError(
                f"answered {response.status_code}, which trying again does not mend",
                where=f"sink {self.name}",
                remedy="check its url and headers",
            )


class LogSink:
    """Writes each alert to the daemon's own log."""

    name = "log"

    def deliver(self, alert: Alert, stop: threading.Event) -> None:  # noqa: ARG002 - logging never waits
        """See `Sink.deliver`."""
        tell = log.warning if alert.state == "firing" else log.info
        tell(
            "drift" if alert.state == "firing" else "drift resolved",
            stream=alert.stream,
            severity=alert.severity,
            effect_nats=round(alert.effect.nats, 3),
            p_value=float(f"{alert.p_value:.3g}"),
            window=alert.window.size,
            explanation=alert.explanation,
            reference="/".join(alert.reference),
            id=alert.id,
        )

    def close(self) -> None:
        """Nothing is held."""


def build_sinks(configs: Sequence[SinkConfig]) -> list[Sink]:
    """The sinks that are not Kafka's own topic, which the test role writes itself.

    Webhooks are numbered where there are several, so that each has its own name.
    """
    webhooks = [config for config in configs if isinstance(config, WebhookSinkConfig)]
    sinks: list[Sink] = [
        WebhookSink(config, "webhook" if len(webhooks) == 1 else f"webhook-{number}")
        for number, config in enumerate(webhooks, 1)
    ]
    if any(isinstance(config, LogSinkConfig) for config in configs):
        sinks.append(LogSink())
    return sinks
