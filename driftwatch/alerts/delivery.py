"""Delivers alerts to sinks: each sink at its own pace in its own thread, never holding up the stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from driftwatch.alerts.alertmanager import AlertmanagerUpkeep
from driftwatch.alerts.sinks import Sink
from driftwatch.alerts.standing import Standing
from driftwatch.alerts.waiting import Waiting
from driftwatch.config import KafkaSource
from driftwatch.errors import MessageError, SinkError
from driftwatch.stream import announcement
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.events import Event, Observer, Progress, SinkDelivered, SinkFailed, StageTimed
from driftwatch.stream.kafka_batches import record_of
from driftwatch.stream.kafka_clients import open_consumer
from driftwatch.stream.kafka_role import KafkaRole
from driftwatch.stream.log import Record
from driftwatch.stream.losses import Unready
from driftwatch.stream.partitions import ANSWER_MS, committed_offset
from driftwatch.tracing import UNTRACED, Tracer, context_of

MAX_POLL_INTERVAL_MS = 3_600_000
WAIT_S = 0.2
"""How long to wait for an alert before checking for a stop."""

log = structlog.get_logger("driftwatch.alerts")


def deliver(
    sink: Sink, alert: Announcement, stop: threading.Event, observe: Observer, tracer: Tracer = UNTRACED
) -> bool:
    """Deliver one alert, and report the outcome.

    Returns:
        Whether the alert is done with; False if delivery was given up because of `stop`.
    """
    started = time.perf_counter()
    with tracer.span("deliver", parent=alert.announced_in or alert.trace, sink=sink.name, alert_id=alert.id) as span:
        try:
            sink.deliver(alert, stop)
        except SinkError as error:
            span.fail(str(error))
            if stop.is_set():
                return False
            log.error("alert not delivered", sink=sink.name, id=alert.id, error=str(error))
            observe(SinkFailed(sink.name, str(error)))
        else:
            observe(SinkDelivered(sink.name))
    observe(StageTimed("sink", time.perf_counter() - started))
    return True


class TopicDelivery(KafkaRole):
    """Feeds one sink from the alerts topic, in its own consumer group: at least once, even over restarts.

    A new sink starts with alerts to come, not with the topic's history.

    Args:
        sink: to deliver to.
        source: brokers and group.
        alerts_topic: topic of the alerts.
        observer: receives events about deliveries and failures.
        tracer: records the deliveries.
    """

    def __init__(
        self, sink: Sink, source: KafkaSource, alerts_topic: str, observer: Observer, tracer: Tracer = UNTRACED
    ) -> None:
        super().__init__(f"sink.{sink.name}", source, _without_progress(observer))
        self._sink = sink
        self._topic = alerts_topic
        self._tracer = tracer

    def session(self, stop: threading.Event, clients: ExitStack) -> None:
        """Deliver until `stop` is set."""
        consumer = open_consumer(
            self.source,
            self.name,
            clients,
            f"{self.source.group}.{self.name}",
            max_poll_records=1,
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
        )
        partitions = alert_partitions(consumer, self._topic)
        self._begin(consumer, partitions)
        subscription = self.subscribe(consumer, self._topic)
        while not stop.is_set():
            for partition, messages in subscription.poll().items():
                for message in messages:
                    try:
                        alert = alert_of(record_of(message))
                    except MessageError as error:
                        log.error("alert cannot be read", offset=message.offset, error=str(error))
                        self.observe(SinkFailed(self._sink.name, str(error)))
                    else:
                        if not deliver(self._sink, alert, stop, self.observe, self._tracer):
                            return
                    consumer.commit({partition: OffsetAndMetadata(message.offset + 1, "", -1)}, timeout_ms=ANSWER_MS)

    def _begin(self, consumer: KafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        new = [partition for partition in partitions if committed_offset(consumer, partition) is None]
        if new:
            ends = consumer.end_offsets(new, timeout_ms=ANSWER_MS)
            consumer.commit(
                {partition: OffsetAndMetadata(ends[partition], "", -1) for partition in new}, timeout_ms=ANSWER_MS
            )


class TopicStanding(KafkaRole):
    """Reads what fires from the alerts topic, from its beginning: the topic has everything that a restart forgets.

    Its consumer group shares the partitions among replicas, so that one replica reports each stream, and commits
    nothing. While Kafka is away, the state read so far is still sent.

    Args:
        upkeep: receives the state.
        source: brokers and group.
        alerts_topic: topic of the alerts.
        observer: receives events about messages that cannot be read.
    """

    def __init__(self, upkeep: AlertmanagerUpkeep, source: KafkaSource, alerts_topic: str, observer: Observer) -> None:
        super().__init__(upkeep.name, source, _without_progress(observer))
        self._upkeep = upkeep
        self._topic = alerts_topic

    def session(self, stop: threading.Event, clients: ExitStack) -> None:
        """Read until `stop` is set."""
        consumer = open_consumer(self.source, self.name, clients, f"{self.source.group}.{self.name}")
        alert_partitions(consumer, self._topic)
        subscription = self.subscribe(consumer, self._topic)
        reading: Standing | None = None
        ends: dict[TopicPartition, int] = {}
        while not stop.is_set():
            polled = subscription.poll()
            revoked, assigned = subscription.take_rebalance()
            if revoked or assigned:
                partitions = sorted(consumer.assignment())
                ends = consumer.end_offsets(partitions, timeout_ms=ANSWER_MS) if partitions else {}
                consumer.seek_to_beginning(*partitions)
                reading = self._upkeep.blank()
                polled = {}
            for message in (message for messages in polled.values() for message in messages):
                if (alert := self._alert(record_of(message))) is None:
                    continue
                if reading is None:
                    self._upkeep.take(alert, message.timestamp)
                else:
                    reading.take(alert, message.timestamp)
            if reading is not None and all(
                (consumer.position(partition, timeout_ms=ANSWER_MS) or 0) >= end for partition, end in ends.items()
            ):
                # Only at the end of the topic is it known which alerts still fire.
                self._upkeep.replace(reading)
                reading = None

    def _alert(self, record: Record) -> Announcement | None:
        try:
            return alert_of(record)
        except MessageError as error:
            log.error("alert cannot be read", offset=record.offset, error=str(error))
            self.observe(SinkFailed(self._upkeep.sink, str(error)))
            return None


class QueueDelivery:
    """Feeds one sink from a bounded queue, where there is no alerts topic; alerts beyond its limit count as failed.

    Delivers at least once; over restarts too, if the queue is saved in a file.

    Args:
        sink: to deliver to.
        observer: receives events about deliveries and failures.
        saved: file for undelivered alerts; None to keep them in memory only.
        tracer: records the deliveries.
    """

    def __init__(self, sink: Sink, observer: Observer, saved: Path | None = None, tracer: Tracer = UNTRACED) -> None:
        self.name = f"sink.{sink.name}"
        self._sink = sink
        self._waiting = Waiting(sink.queue, saved)
        self._observe = observer
        self._tracer = tracer

    def submit(self, alert: Announcement) -> None:
        """Accept an alert; never waits for the sink."""
        if not self._waiting.add(alert):
            log.error("alert not delivered", sink=self._sink.name, id=alert.id, error="queue is full")
            self._observe(SinkFailed(self._sink.name, "queue is full"))

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set; alerts queued by then are tried once more, and kept if that fails."""
        while not (stop.is_set() and not len(self._waiting)):
            alert = self._waiting.first(WAIT_S)
            if alert is None:
                continue
            if not deliver(self._sink, alert, stop, self._observe, self._tracer):
                return
            self._waiting.done()


def alert_of(record: Record) -> Announcement:
    """The alert in a message of the alerts topic, with the context of its announcement.

    Raises:
        MessageError: the message is not an alert.
    """
    return replace(announcement.decode(record.value), announced_in=context_of(record.header))


def alert_partitions(consumer: KafkaConsumer, topic: str) -> list[TopicPartition]:
    """The partitions of the alerts topic.

    Raises:
        Unready: the topic does not exist yet.
    """
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    if not partitions:
        raise Unready(f"Kafka has no topic {topic!r} yet: it is created once the input topic exists")
    return partitions


def _without_progress(observer: Observer) -> Observer:
    """Drop the connection events of a sink: they do not affect whether the daemon is ready."""

    def forward(event: Event) -> None:
        if not isinstance(event, Progress):
            observer(event)

    return forward
