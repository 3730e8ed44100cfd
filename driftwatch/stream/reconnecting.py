"""The loop that keeps a role connected to Kafka."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack

import structlog
from kafka.errors import KafkaConfigurationError, KafkaError

from driftwatch.errors import RegistryError, SourceError
from driftwatch.stream.events import Observer, Progress
from driftwatch.stream.losses import Unready, reason_of, words_of

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 10.0
STEADY_S = 30.0
TELL_AGAIN_S = 60.0

log = structlog.get_logger("driftwatch.kafka")


class Reconnecting(ABC):
    """Something that works with Kafka until it is told to stop, and reconnects whenever the connection is lost.

    Args:
        name: of the role, for logs and health.
        observer: told of the connection.
    """

    def __init__(self, name: str, observer: Observer) -> None:
        self.name = name
        self.observe = observer
        self._told = 0.0
        self._reason, self._ever_connected = "", False

    @abstractmethod
    def session(self, stop: threading.Event, clients: ExitStack) -> None:
        """Connects, says so by `connected`, and works until `stop` is set. Clients are closed by the stack."""

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set.

        Raises:
            SourceError: the configuration does not fit the cluster, and waiting would not help.
        """
        backoff = FIRST_BACKOFF_S
        while not stop.is_set():
            started = time.monotonic()
            with ExitStack() as clients:
                try:
                    self.session(stop, clients)
                except KafkaConfigurationError as error:
                    raise SourceError(f"Kafka client: {error}", where="source") from error
                except (KafkaError, OSError, RegistryError, Unready) as error:
                    if stop.is_set():
                        return
                    if isinstance(error, Unready) or time.monotonic() - started > STEADY_S:
                        backoff = FIRST_BACKOFF_S
                    self._lost(error)
            stop.wait(backoff)
            backoff = min(2 * backoff, LONGEST_BACKOFF_S)

    def connected(self) -> None:
        """Tells that the source is reached."""
        self._reason, self._ever_connected = "", True
        self.observe(Progress("source_connected", self.name))

    def _lost(self, error: Exception) -> None:
        """Tells why there is no connection; in the log but seldom, as long as it is for the same reason."""
        told = words_of(error)
        self.observe(Progress("source_lost", self.name, told, reason_of(error)))
        if told != self._reason or time.monotonic() - self._told > TELL_AGAIN_S:
            self._reason, self._told = told, time.monotonic()
            if isinstance(error, Unready):
                log.info("waiting", role=self.name, reason=told)
            else:
                log.warning("connection lost" if self._ever_connected else "no connection", role=self.name, error=told)
