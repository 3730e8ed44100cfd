"""The forward role: writes messages received over HTTP to a Kafka topic, unchanged, for another daemon to score."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import (
    InvalidRecordError,
    InvalidTimestampError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from driftwatch.config import ForwardConfig, HttpSource
from driftwatch.errors import MessageError
from driftwatch.stream.alert import rfc3339
from driftwatch.stream.connecting import client_options
from driftwatch.stream.dead_letter_file import intake_dead_letters
from driftwatch.stream.events import UNKNOWN, BatchSeen, DeadLettered, Observer, Progress, StageTimed
from driftwatch.stream.intake import record_of
from driftwatch.stream.intake_queue import WAIT_S, Closing, IntakeQueue
from driftwatch.stream.kafka_clients import (
    CLOSE_MS,
    DELIVERY_TIMEOUT_MS,
    REQUEST_TIMEOUT_MS,
    close_client,
)
from driftwatch.stream.log import Record
from driftwatch.stream.losses import Unready
from driftwatch.stream.partitions import ANSWER_MS
from driftwatch.stream.reconnecting import Reconnecting
from driftwatch.stream.subscription import SILENCE_S
from driftwatch.tracing import UNTRACED, Tracer, context_of

LINGER_MS = 5
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
REFUSED = (InvalidTimestampError, InvalidRecordError)
"""Errors by which the topic rejects a message for good."""

log = structlog.get_logger("driftwatch.intake")


class ForwardRole(Reconnecting):
    """Writes queued messages to a topic: at least once, and in order while the connection lasts.

    What the broker has not acknowledged is sent again; meanwhile the queue fills up, and then sheds.

    Args:
        source: the HTTP intake.
        target: brokers and topic.
        queue: of received messages.
        observer: receives every event.
        state_dir: folder for messages that the topic rejects; None to keep none.
        tracer: records each batch written.
    """

    def __init__(
        self,
        source: HttpSource,
        target: ForwardConfig,
        queue: IntakeQueue,
        *,
        observer: Observer,
        state_dir: Path | None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        super().__init__("forward", observer)
        self._source = source
        self._target = target
        self._queue = queue
        self._dead_letters = intake_dead_letters(state_dir)
        self._held: list[Record] = []
        self._singly = False
        self._tracer = tracer

    def run(self, stop: threading.Event) -> None:
        """See `Reconnecting.run`; after a stop, queued messages get a short time."""
        super().run(stop)
        self._queue.close()
        if left := len(self._held) + self._queue.depth().messages:
            log.warning("stopped with requests that Kafka has not acknowledged", messages=left)

    def session(self, stop: threading.Event, clients: ExitStack) -> None:
        """Forward until `stop` is set, and then what is queued."""
        options: dict[str, Any] = {**client_options(self._target), "allow_auto_create_topics": False}
        consumer = KafkaConsumer(group_id=None, **options)
        clients.callback(close_client, self.name, lambda: consumer.close(timeout_ms=CLOSE_MS))
        if not (partitions := consumer.partitions_for_topic(self._target.topic)):
            raise Unready(f"Kafka has no topic {self._target.topic!r} yet: create it")
        place = TopicPartition(self._target.topic, min(partitions))
        writing = clients.enter_context(ExitStack())
        producer = self._producer(writing, options)
        self.connected()
        closing, answered = Closing(stop, self._queue), time.monotonic()
        while not closing.done() or (self._held and not closing.late()):
            self.observe(Progress("polled", self.name))
            self.observe(self._queue.depth())
            if not self._held:
                self._held = self._take()
            if self._held:
                started = time.perf_counter()
                links = [context_of(record.header) for record in self._held]
                with self._tracer.span("forward", links=links, topic=self._target.topic, messages=len(links)):
                    if not self._send(producer, closing):
                        writing.close()
                        producer = self._producer(writing, options)
                self.observe(StageTimed("commit", time.perf_counter() - started))
                answered = time.monotonic()
            elif time.monotonic() - answered > SILENCE_S:
                # An idle producer would not notice that its broker is gone, which readiness must report.
                consumer.end_offsets([place], timeout_ms=ANSWER_MS)
                answered = time.monotonic()

    def _producer(self, clients: ExitStack, options: Mapping[str, Any]) -> KafkaProducer:
        producer = KafkaProducer(
            acks="all",
            enable_idempotence=True,
            linger_ms=LINGER_MS,
            max_block_ms=ANSWER_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
            # Headers and framing come on top of the body.
            max_request_size=self._target.max_message_bytes + (128 << 10),
            **options,
        )
        clients.callback(close_client, self.name, lambda: producer.close(timeout=CLOSE_MS / 1000))
        return producer

    def _take(self) -> list[Record]:
        records = []
        for posted in self._queue.take(WAIT_S):
            record = record_of(posted, 0, self._source, self._source.stream)
            if record is None:
                self.observe(BatchSeen(UNKNOWN, "skipped", 0))
            else:
                records.append(record)
        return records

    def _send(self, producer: KafkaProducer, closing: Closing) -> bool:
        """Send what is held, and keep what was not acknowledged.

        Returns:
            Whether the producer can continue: once a message is rejected, it fails all later ones.

        Raises:
            KafkaError: a message was not acknowledged.
        """
        # One rejected message fails its whole batch, so after a rejection messages are sent singly.
        batch = self._held[:1] if self._singly else self._held
        refused, failed = False, list[tuple[Record, BaseException]]()
        for record, failure in self._sent(producer, batch, closing):
            refused = refused or isinstance(failure, REFUSED)
            if failure is None:
                self.observe(BatchSeen((record.key or b"").decode(), "ok", 0))
            elif isinstance(failure, TOO_LARGE) or (isinstance(failure, REFUSED) and len(batch) == 1):
                self._dead_letter(record, failure)
            else:
                failed.append((record, failure))
        self._held = [record for record, _ in failed] + self._held[len(batch) :]
        self._singly = bool(self._held) and (refused or self._singly)
        if failed and not refused:
            raise failed[0][1]
        return not refused

    def _sent(
        self, producer: KafkaProducer, records: Sequence[Record], closing: Closing
    ) -> list[tuple[Record, BaseException | None]]:
        """Send records; with each, return why it may not be written, or None."""
        sending = [(record, self._begin(producer, record)) for record in records]
        while not closing.late():
            try:
                producer.flush(timeout=WAIT_S)
                break
            except KafkaTimeoutError:  # each message has its own time limit, after which it counts as failed
                self.observe(self._queue.depth())
        return [(record, _failure(future)) for record, future in sending]

    def _begin(self, producer: KafkaProducer, record: Record) -> Any:
        try:
            return producer.send(
                self._target.topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                timestamp_ms=record.timestamp_ms,
            )
        except TOO_LARGE as error:
            return error

    def _dead_letter(self, record: Record, why: BaseException) -> None:
        if isinstance(why, TOO_LARGE):
            error = MessageError(
                f"has {len(record.value)} bytes, too many for topic {self._target.topic}",
                reason="too_large",
                remedy="raise the topic's max.message.bytes, or send fewer samples at a time",
            )
        else:
            at = rfc3339(record.timestamp_ms)
            error = MessageError(
                f"of {at} is refused by topic {self._target.topic}: {why}",
                reason="refused",
                remedy="see the topic's message.timestamp.before.max.ms and after.max.ms, and that it is not compacted",
            )
        self.observe(BatchSeen(UNKNOWN, "dead_letter", 0))
        self.observe(DeadLettered(UNKNOWN, error.reason, str(error)))
        if self._dead_letters is not None:
            self._dead_letters.write(record, error)


def _failure(sent: Any) -> BaseException | None:
    """Why a message may not be written; None if it is."""
    if isinstance(sent, BaseException):
        return sent
    failure: BaseException | None = sent.exception if sent.is_done else KafkaTimeoutError("not acknowledged yet")
    return failure
