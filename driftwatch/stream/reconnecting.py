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
LOG_AGAIN_S = 60.0

log = structlog.get_logger("driftwatch.kafka")


class Reconnecting(ABC):
    """Works with Kafka until stopped, and reconnects whenever the connection is lost.

    Args:
        name: of the role, for logs and health.
        observer: receives events about the connection.
    """

    def __init__(self, name: str, observer: Observer) -> None:
        self.name = name
        self.observe = observer
        self._logged_s = 0.0
        self._reason, self._ever_connected = "", False

    @abstractmethod
    def session(self, stop: threading.Event, clients: ExitStack) -> None:
        """Connect, report it by `connected`, and work until `stop` is set. The stack closes the clients."""

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set.

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
        """Report that the source is reached."""
        self._reason, self._ever_connected = "", True
        self.observe(Progress("source_connected", self.name))

    def _lost(self, error: Exception) -> None:
        """Report why there is no connection; the log repeats the same reason only now and then."""
        words = words_of(error)
        self.observe(Progress("source_lost", self.name, words, reason_of(error)))
        if words != self._reason or time.monotonic() - self._logged_s > LOG_AGAIN_S:
            self._reason, self._logged_s = words, time.monotonic()
            if isinstance(error, Unready):
                log.info("waiting", role=self.name, reason=words)
            else:
                log.warning("connection lost" if self._ever_connected else "no connection", role=self.name, error=words)
