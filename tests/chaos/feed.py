"""A producer that goes on whatever happens to the daemons."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import closing

import numpy as np
from kafka import KafkaProducer

from driftwatch.data.codecs import encode
from tests.synthetic import SCHEMA, shuffled_rows, waves

CALM, DRIFTING, SETTLING = "calm", "drifting", "settling"
STREAMS = (CALM, DRIFTING, SETTLING)
BATCH = 7
"""Samples in a message; panes hold ten, so that they seldom end where messages do."""

RATE = 24.0
"""Messages a second."""

SPELL = 300
"""Messages of all streams, in every second lot of which the drifting stream drifts."""

SETTLED = 900
"""Messages of all streams, after which the settling stream has stopped drifting."""

UNUSABLE_EVERY = 50
"""Messages, of which one is none: a dead letter."""

DISORDER_MS = 600
"""By how much a message may be older than one before it."""

MISDATED_EVERY = 20
"""Messages, of which one has a time from a clock that is wrong."""

WRONG_MS = (9 * 3_600_000, -40 * 3_600_000, -(1 << 50), 1 << 50)
"""By how much, of which one is drawn: hours ahead, days back, and beyond all years there are."""

POOL = 700
WAIT_S = 60.0


class Feed(threading.Thread):
    """Publishes batches of three streams to every partition of a topic, until it is told to stop.

    Args:
        bootstrap: of the broker.
        topic: where to.
        partitions: of the topic, which nobody else writes to.
        seed: of samples and partitions; the same seed publishes the same.
    """

    def __init__(self, bootstrap: str, topic: str, partitions: int, seed: int) -> None:
        super().__init__(name="feed", daemon=True)
        self._servers, self._topic, self._partitions = bootstrap, topic, partitions
        self._draw = np.random.default_rng(seed)
        self._usual, self._other = waves(POOL, seed), shuffled_rows(waves(POOL, seed + 1))
        self._over = threading.Event()
        self._sent: Counter[int] = Counter()
        self.error: Exception | None = None

    def run(self) -> None:
        """Called by the thread."""
        try:
            with closing(
                KafkaProducer(bootstrap_servers=self._servers, enable_idempotence=True, linger_ms=2)
            ) as producer:
                acknowledged = []
                began = time.monotonic()
                while not self._over.wait(max(0.0, began + len(acknowledged) / RATE - time.monotonic())):
                    acknowledged.append(self._publish(producer, len(acknowledged)))
                for each in acknowledged:
                    each.get(timeout=WAIT_S)
        except Exception as error:  # noqa: BLE001 - raised again where the feed is ended
            self.error = error

    def end(self) -> None:
        """Stops, when all that was sent is acknowledged.

        Raises:
            KafkaError: something was not.
        """
        self._over.set()
        self.join(WAIT_S)
        if self.error is not None:
            raise self.error

    def ends(self) -> dict[int, int]:
        """By partition, the offset that the next message will have."""
        return {partition: self._sent[partition] for partition in range(self._partitions)}

    def _publish(self, producer: KafkaProducer, number: int) -> object:
        stream = STREAMS[number % len(STREAMS)]
        drifts = {
            CALM: False,
            DRIFTING: number // SPELL % 2 == 1,
            SETTLING: number < SETTLED,
        }[stream]
        chosen = (self._other if drifts else self._usual)[self._draw.integers(0, POOL, BATCH)]
        value, headers = encode(chosen, SCHEMA, ("npy", "json", "v2", "arrow")[number % 4])
        if number % UNUSABLE_EVERY == UNUSABLE_EVERY - 1:
            value = b"{" + value
        partition = int(self._draw.integers(self._partitions))
        wrong = number % MISDATED_EVERY == MISDATED_EVERY - 1
        aside_ms = int(self._draw.choice(WRONG_MS)) if wrong else -int(self._draw.integers(DISORDER_MS))
        time_ms = int(time.time() * 1000) + aside_ms
        sent = producer.send(
            self._topic,
            value=value,
            headers=[*headers.items(), ("driftwatch-stream", stream.encode())],
            partition=partition,
            timestamp_ms=time_ms,
        )
        self._sent[partition] += 1
        return sent
