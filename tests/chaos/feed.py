"""A producer that publishes continuously, whatever happens to the daemons."""

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
"""Samples in a message; panes hold ten, so that messages and panes seldom end together."""

RATE = 24.0
"""Messages per second."""

SPELL = 300
"""Messages of all streams in a spell; the drifting stream drifts in every second one."""

SETTLED_AFTER = 900
"""Messages of all streams after which the settling stream has stopped drifting."""

UNUSABLE_EVERY = 50
"""One in so many messages cannot be decoded, and becomes a dead letter."""

DISORDER_MS = 600
"""The most by which a message may be older than its predecessor."""

MISDATED_EVERY = 20
"""One in so many messages has a timestamp from a wrong clock."""

WRONG_MS = (9 * 3_600_000, -40 * 3_600_000, -(1 << 50), 1 << 50)
"""Clock errors from which one is drawn: hours ahead, days back, and outside any calendar."""

POOL = 700
WAIT_S = 60.0


class Feed(threading.Thread):
    """Publishes batches of three streams to every partition of a topic, until it is stopped.

    Args:
        bootstrap: of the broker.
        topic: to publish to.
        partitions: of the topic, which has no other producer.
        seed: of samples and partitions; the same seed publishes the same messages.
    """

    def __init__(self, bootstrap: str, topic: str, partitions: int, seed: int) -> None:
        super().__init__(name="feed", daemon=True)
        self._servers, self._topic, self._partitions = bootstrap, topic, partitions
        self._random = np.random.default_rng(seed)
        self._normal, self._drifted = waves(POOL, seed), shuffled_rows(waves(POOL, seed + 1))
        self._stopping = threading.Event()
        self._sent: Counter[int] = Counter()
        self.error: Exception | None = None

    def run(self) -> None:
        """The thread's loop."""
        try:
            with closing(
                KafkaProducer(bootstrap_servers=self._servers, enable_idempotence=True, linger_ms=2)
            ) as producer:
                acknowledged = []
                began = time.monotonic()
                while not self._stopping.wait(max(0.0, began + len(acknowledged) / RATE - time.monotonic())):
                    acknowledged.append(self._publish(producer, len(acknowledged)))
                for each in acknowledged:
                    each.get(timeout=WAIT_S)
        except Exception as error:  # noqa: BLE001 - raised again in `end`
            self.error = error

    def end(self) -> None:
        """Stop, once everything sent is acknowledged.

        Raises:
            KafkaError: a message was not acknowledged.
        """
        self._stopping.set()
        self.join(WAIT_S)
        if self.error is not None:
            raise self.error

    def ends(self) -> dict[int, int]:
        """By partition, the offset of the next message."""
        return {partition: self._sent[partition] for partition in range(self._partitions)}

    def _publish(self, producer: KafkaProducer, number: int) -> object:
        stream = STREAMS[number % len(STREAMS)]
        drifts = {
            CALM: False,
            DRIFTING: number // SPELL % 2 == 1,
            SETTLING: number < SETTLED_AFTER,
        }[stream]
        chosen = (self._drifted if drifts else self._normal)[self._random.integers(0, POOL, BATCH)]
        value, headers = encode(chosen, SCHEMA, ("npy", "json", "v2", "arrow")[number % 4])
        if number % UNUSABLE_EVERY == UNUSABLE_EVERY - 1:
            value = b"{" + value
        partition = int(self._random.integers(self._partitions))
        misdated = number % MISDATED_EVERY == MISDATED_EVERY - 1
        offset_ms = int(self._random.choice(WRONG_MS)) if misdated else -int(self._random.integers(DISORDER_MS))
        time_ms = int(time.time() * 1000) + offset_ms
        sent = producer.send(
            self._topic,
            value=value,
            headers=[*headers.items(), ("driftwatch-stream", stream.encode())],
            partition=partition,
            timestamp_ms=time_ms,
        )
        self._sent[partition] += 1
        return sent
