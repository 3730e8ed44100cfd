"""Publishes a data set as a stream of Kafka messages, at a given rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import orjson
from kafka import KafkaProducer
from kafka.errors import (
    KafkaConfigurationError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    TopicAlreadyExistsError,
)

from driftwatch.config import KafkaConnection, KafkaSource
from driftwatch.data.codecs import encode
from driftwatch.data.readers import Dataset
from driftwatch.data.schema import Samples, Schema, TableSchema
from driftwatch.data.sent_tables import rows_to_send
from driftwatch.data.table_files import TableDataset
from driftwatch.errors import SourceError, UsageError
from driftwatch.stream.connecting import CONNECT_MS, client_options, open_admin
from driftwatch.stream.losses import words_of
from driftwatch.stream.registry import open_registry

LINGER_MS = 20
CHUNK_ROWS = 2048


@dataclass(frozen=True)
class PublishPlan:
    """What to send.

    Args:
        topic: to send to.
        stream: value of the ``driftwatch-stream`` header.
        key: of every message; None spreads them over the partitions.
        batch: samples in a message.
        rate: samples per second; None for as fast as the broker accepts them.
        format: of the messages.
        offset: first row.
        limit: the most rows in each round.
        repeat: number of rounds.
    """

    topic: str
    stream: str
    key: str | None
    batch: int = 32
    rate: float | None = None
    format: str = "json"
    offset: int = 0
    limit: int | None = None
    repeat: int = 1

    def rows(self, available: int) -> int:
        """Rows sent in one round of a data set that has `available`."""
        rest = max(0, available - self.offset)
        return rest if self.limit is None else min(rest, self.limit)

    def total(self, available: int) -> int:
        """Samples sent in all rounds."""
        return self.rows(available) * self.repeat


@dataclass(frozen=True)
class PublishReport:
    """What was sent and acknowledged by the broker."""

    samples: int
    messages: int
    seconds: float


def publish_dataset(
    dataset: Dataset,
    plan: PublishPlan,
    source: KafkaSource,
    *,
    on_sent: Callable[[int], None] = lambda _: None,
) -> PublishReport:
    """Send a data set; returns when the broker has acknowledged all of it.

    Args:
        dataset: the samples.
        plan: how to send them.
        source: brokers and security; and the schema registry, for format avro.
        on_sent: called with the number of samples of each message sent.

    Raises:
        UsageError: no row is left after `plan.offset`, or the format cannot carry the data.
        SourceError: the broker cannot be reached, or rejects a message.
    """
    if plan.rows(dataset.rows) == 0:
        raise UsageError(f"has {dataset.rows} rows, none after row {plan.offset}", where=dataset.name)
    write = _writer(_schema(dataset, plan), plan, source)
    failures: list[BaseException] = []
    samples = messages = 0
    started = time.monotonic()
    with closing(_producer(source)) as producer:
        key = plan.key.encode() if plan.key else None
        for batch, schema in _batches(dataset, plan):
            if plan.rate is not None:
                time.sleep(max(0.0, started + samples / plan.rate - time.monotonic()))
            value, headers = write(batch, schema)
            named = [*headers.items(), ("driftwatch-stream", plan.stream.encode())]
            try:
                producer.send(plan.topic, value=value, key=key, headers=named).add_errback(failures.append)
            except KafkaError as error:
                failures.append(error)
            if failures:
                break
            samples += len(batch)
            messages += 1
            on_sent(len(batch))
        if not failures:
            try:
                producer.flush()
            except KafkaError as error:
                failures.append(error)
    if failures:
        raise _refused(failures[0], plan, source) from failures[0]
    return PublishReport(samples, messages, time.monotonic() - started)


def ensure_topic(source: KafkaSource, partitions: int) -> bool:
    """Create the source's topic if it is missing; return whether it was.

    Raises:
        SourceError: the broker cannot be reached, or refuses.
    """
    try:
        with closing(open_admin(source)) as admin:
            admin.create_topics({source.topic: {"num_partitions": partitions}}, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return False
    except (KafkaError, OSError) as error:
        raise unreachable(source, error) from error
    return True


def unreachable(source: KafkaConnection, error: Exception) -> SourceError:
    """The error for a broker that does not respond."""
    servers = ", ".join(source.bootstrap_servers)
    return SourceError(
        f"cannot work with Kafka at {servers}: {words_of(error)}", remedy="check the address, the network and security"
    )


def _schema(dataset: Dataset, plan: PublishPlan) -> Schema:
    """The schema of the data; for a table, that of its first rows.

    Raises:
        UsageError: the format cannot carry the data.
    """
    schema = next(_chunks(dataset, CHUNK_ROWS, plan.offset))[1]
    if plan.format == "npy" and isinstance(schema, TableSchema) and any(c.kind == "category" for c in schema.columns):
        raise UsageError(
            "format npy carries numbers only, and this table has texts",
            where=dataset.name,
            remedy="use rows, v2 or arrow",
        )
    return schema


def _writer(
    schema: Schema, plan: PublishPlan, source: KafkaSource
) -> Callable[[Samples, Schema], tuple[bytes, dict[str, bytes]]]:
    """The function that encodes samples as a message; for Avro, the topic's value schema is registered first."""
    if plan.format != "avro":
        return partial(encode, format=plan.format)
    if source.schema_registry is None:
        raise UsageError(
            "is required for format avro",
            where="--schema-registry",
            remedy="give the address of a schema registry, or --config CONFIG",
        )
    with closing(open_registry(source.schema_registry)) as registry:
        from driftwatch.data.avro_bodies import avro_schema, avro_writer

        registered = registry.register(f"{plan.topic}-value", orjson.dumps(avro_schema(schema)).decode())
    return avro_writer(schema, registered)


def _producer(source: KafkaSource) -> KafkaProducer:
    try:
        return KafkaProducer(
            acks="all",
            enable_idempotence=True,
            linger_ms=LINGER_MS,
            max_request_size=source.max_message_bytes,
            bootstrap_timeout_ms=CONNECT_MS,
            max_block_ms=CONNECT_MS,
            **client_options(source),
        )
    except KafkaConfigurationError as error:
        raise SourceError(f"Kafka client: {error}") from error
    except (KafkaError, OSError) as error:
        raise unreachable(source, error) from error


def _batches(dataset: Dataset, plan: PublishPlan) -> Iterator[tuple[Samples, Schema]]:
    for _ in range(plan.repeat):
        left = plan.rows(dataset.rows)
        rows = max(plan.batch, CHUNK_ROWS // plan.batch * plan.batch)
        for chunk, schema in _chunks(dataset, rows, plan.offset):
            for start in range(0, min(len(chunk), left), plan.batch):
                yield chunk[start : min(start + plan.batch, left)], schema
            left -= len(chunk)
            if left <= 0:
                break


def _chunks(dataset: Dataset, rows: int, start: int) -> Iterator[tuple[Samples, Schema]]:
    if isinstance(dataset, TableDataset):
        return rows_to_send(dataset, rows, start)
    schema = dataset.infer_schema()
    return ((chunk, schema) for chunk in dataset.chunks(schema, rows=rows, start=start))


def _refused(error: BaseException, plan: PublishPlan, source: KafkaSource) -> SourceError:
    where = f"topic {plan.topic}"
    if isinstance(error, MessageSizeTooLargeError):
        return SourceError(
            f"a message of {plan.batch} samples is too large for the broker",
            where=where,
            remedy="lower --batch or use --format npy",
        )
    if isinstance(error, KafkaTimeoutError) and _is_missing(plan.topic, source):
        return SourceError("Kafka has no such topic", where=where, remedy="let --create-topic 1 make it")
    return SourceError(f"Kafka rejects the messages: {error}", where=where)


def _is_missing(topic: str, source: KafkaSource) -> bool:
    try:
        with closing(open_admin(source)) as admin:
            return topic not in admin.list_topics()
    except (KafkaError, OSError):
        return False
