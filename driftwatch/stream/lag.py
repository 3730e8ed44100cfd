"""How far a role lags behind the logs that it reads."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

import structlog
from kafka.errors import KafkaTimeoutError

from driftwatch.stream.events import LagMeasured, Observer, PartitionsHeld
from driftwatch.stream.log import Partition
from driftwatch.stream.partitions import POLL_MS, PROBE_MS
from driftwatch.stream.subscription import Subscription

EVERY_S = 2.0

log = structlog.get_logger("driftwatch.kafka")


class LagMeter:
    """Reports, every few seconds, how many messages of each partition are still to be processed.

    Args:
        subscription: whose partitions are measured.
        observer: receives the events.
    """

    def __init__(self, subscription: Subscription, observer: Observer) -> None:
        self._subscription, self._observe = subscription, observer
        self._measured = 0.0

    def measure(self, held: Iterable[Partition] = ()) -> None:
        """Report the lag, if it is time.

        The broker is asked for the ends of the logs. A consumer's own knowledge is as old as its last fetch, and it
        does not fetch while it holds enough.

        Args:
            held: the partition of each message that was polled and is not processed yet.
        """
        if time.monotonic() - self._measured < EVERY_S:
            return
        self._measured = time.monotonic()
        consumer, topic = self._subscription.consumer, self._subscription.topic
        partitions = sorted(consumer.assignment())
        if self._subscription.settled:
            self._observe(PartitionsHeld(topic, frozenset(each.partition for each in partitions)))
        try:
            ends = consumer.end_offsets(partitions, timeout_ms=PROBE_MS) if partitions else {}
        except KafkaTimeoutError as error:
            # `Subscription.poll` decides whether the broker is gone.
            log.debug("lag not measured", topic=topic, error=str(error))
            return
        waiting = Counter(held)
        for each, end in ends.items():
            if (position := consumer.position(each, timeout_ms=POLL_MS)) is not None:
                lag = max(0, end - position) + waiting[each]
                self._observe(LagMeasured(each.topic, each.partition, lag))
