"""The input topic: filled before anything is measured, and read from the beginning by each fleet."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from kafka import KafkaAdminClient, KafkaProducer

from driftwatch.data.codecs import encode
from driftwatch.data.schema import Samples, Schema

STREAM = "images"
PRODUCERS = 4
BATCH_BYTES = 900_000
"""Brokers accept at most 1 MB. A message of 1,024 images of 28x28 is a batch of its own."""

ANSWER_S = 60.0

Message = tuple[bytes, list[tuple[str, bytes]]]


@dataclass(frozen=True)
class Topic:
    """An input topic.

    Args:
        name: name of the topic.
        partitions: number of partitions, each with the same number of messages.
        count: samples in a message.
        samples: samples in the whole topic.
        seconds: time that filling it took.
    """

    name: str
    partitions: int
    count: int
    samples: int
    seconds: float


def fill(bootstrap: str, images: Samples, schema: Schema, *, partitions: int, count: int, samples: int) -> Topic:
    """Create a topic and fill it with several producers at once, each with partitions of its own.

    Args:
        bootstrap: bootstrap address of the broker.
        images: images that are sent repeatedly, as npy messages with a byte per pixel, as in the schema.
        schema: schema of one image.
        partitions: number of partitions.
        count: samples in a message.
        samples: samples in the topic, rounded down to whole messages in all partitions.
    """
    name = f"input-{count}"
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics({name: {"num_partitions": partitions}}, wait_for_metadata=True)
    bodies = [encode(images[i : i + count], schema, "npy") for i in range(0, len(images) - count + 1, count)]
    messages = [(body, [*headers.items(), ("driftwatch-stream", STREAM.encode())]) for body, headers in bodies]
    each = max(1, samples // count // partitions)
    processes = min(PRODUCERS, partitions, len(os.sched_getaffinity(0)))
    started = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        shares = [range(first, partitions, processes) for first in range(processes)]
        pool.starmap(_send, [(bootstrap, name, share, messages, each) for share in shares], chunksize=1)
    return Topic(name, partitions, count, each * partitions * count, time.monotonic() - started)


def _send(bootstrap: str, name: str, partitions: Sequence[int], messages: Sequence[Message], each: int) -> None:
    with closing(KafkaProducer(bootstrap_servers=bootstrap, acks=1, batch_size=BATCH_BYTES, linger_ms=50)) as producer:
        sent = []
        for i in range(each):
            for partition in partitions:
                body, headers = messages[(partition + i) % len(messages)]
                sent.append(producer.send(name, value=body, headers=headers, partition=partition))
        producer.flush()
        for future in sent:
            future.get(timeout=ANSWER_S)
