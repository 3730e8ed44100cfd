"""Messages to read: 28x28 images in several formats, each in a topic of its own."""

from __future__ import annotations

import multiprocessing
import os
import re
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.record import util
from kafka.record._crc32c import crc

from driftwatch.data.codecs import encode
from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import ImageSchema, Samples

SCHEMA = ImageSchema(channels=1, height=28, width=28)
POOL = 4_096
MOST_BYTES, MOST_MESSAGES = 48 << 20, 20_000


@dataclass(frozen=True)
class Kind:
    """A way of packing samples into messages."""

    samples: int
    form: str

    def __str__(self) -> str:
        return f"{self.samples:,}, {'JSON' if self.form == 'v1' else self.form}"


ONE_JSON, ONE, MANY, MOST = Kind(1, "v1"), Kind(1, "npy"), Kind(64, "npy"), Kind(1_024, "npy")
KINDS = (ONE_JSON, ONE, MANY, MOST)


@dataclass(frozen=True)
class Topic:
    """A filled topic, with its number of messages and of bytes in their values."""

    name: str
    kind: Kind
    messages: int
    size: int
    partitions: int = 1


@dataclass(frozen=True)
class Spent:
    """The cost of a run: processor seconds of all threads, elapsed seconds, and peak growth of the process in bytes."""

    processor_s: float
    wall_s: float
    grown: int


def images(path: Path) -> Samples:
    """The first `POOL` images of a data set of 28x28."""
    return next(open_dataset(path).chunks(SCHEMA, POOL))


def fill(
    bootstrap: str,
    name: str,
    kind: Kind,
    samples: Samples,
    codec: str | None = None,
    *,
    most_bytes: int = MOST_BYTES,
    partitions: int = 1,
) -> Topic:
    """Create a topic and fill it as a producer with default settings would."""
    bodies = [encode(samples[i : i + kind.samples], SCHEMA, kind.form)[0] for i in range(0, len(samples), kind.samples)]
    count = min(MOST_MESSAGES, most_bytes * len(bodies) // sum(map(len, bodies)))
    create(bootstrap, name, partitions=partitions)
    size = 0
    with closing(KafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, linger_ms=5)) as producer:
        for i in range(count):
            producer.send(name, value=bodies[i % len(bodies)], partition=i % partitions)
            size += len(bodies[i % len(bodies)])
        producer.flush()
    return Topic(name, kind, count, size, partitions)


def create(bootstrap: str, *names: str, partitions: int = 1) -> None:
    """Create topics."""
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics({name: {"num_partitions": partitions} for name in names}, wait_for_metadata=True)


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process, which keeps measurements independent."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def without_library() -> None:
    """Make kafka-python compute checksums in Python, as it does without a library for them."""
    util.calc_crc32c.__defaults__ = (crc,)


class Meter:
    """Measures the cost since its creation."""

    def __init__(self) -> None:
        self._size = _status("VmRSS")
        self._processor, self._wall = time.process_time(), time.perf_counter()

    def read(self) -> Spent:
        """The cost so far."""
        processor_s, wall_s = time.process_time() - self._processor, time.perf_counter() - self._wall
        return Spent(processor_s, wall_s, _status("VmHWM") - self._size)


def _status(name: str) -> int:
    """An entry of this process' ``/proc/self/status``, bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0))
