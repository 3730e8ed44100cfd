"""What Kafka clients cost per message, byte and transaction, with a broker on this machine.

    python -m benchmarks.kafka_path IMAGES [--only reading|codecs|fetching|answers|profile|writing|waiting]

Measured is the processor time of all threads of the client's process, each time in a fresh process. IMAGES are 28x28,
such as Fashion-MNIST's. If confluent-kafka is installed, it is measured for comparison.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.kafka_path.material import KINDS, MANY, MOST, ONE_JSON, Spent, Topic, apart, cores, create, fill, images
from benchmarks.kafka_path.reading import Help, decode_all, drain, drain_librdkafka, profile
from benchmarks.kafka_path.waiting import RATE, wait_for
from benchmarks.kafka_path.writing import PANE, transact, transact_librdkafka
from driftwatch.data.schema import Samples
from tests.broker import start_nodes
from tests.synthetic import small_bundle

PEER = importlib.util.find_spec("confluent_kafka") is not None
CODECS = (None, "gzip", "snappy", "lz4", "zstd")
FETCHES: tuple[Mapping[str, Any], ...] = (
    {},
    {"max_partition_fetch_bytes": 1 << 20},
    {"max_partition_fetch_bytes": 4 << 20},
    {"max_partition_fetch_bytes": 48 << 20},
    {"max_poll_records": 5_000},
    {"fetch_min_bytes": 1 << 20},
    {"receive_buffer_bytes": 4 << 20},
    {"check_crcs": False},
)
ANSWERS: tuple[tuple[str, Mapping[str, Any], Sequence[Help]], ...] = (
    ("kafka-python's defaults", {"fetch_max_bytes": 52_428_800}, ()),
    ("responses of 16 MB", {}, ()),
    ("and freed memory kept", {}, ("keep_freed_memory",)),
    ("and more received at once", {}, ("keep_freed_memory", "receive_more")),
)
"""From the client's defaults to the daemon's settings."""

ANSWERS_BYTES = 320 << 20
PARTITIONS = 8
REPEATS = 5

WRITES = ((1, 60), (10, 40), (100, 20))
"""Panes per transaction, and the number of transactions."""

BATCHES = (16 << 10, 64 << 10, 256 << 10, 512 << 10, 1 << 20)
WAITS_MS = (1, 50, 100, 200, 500)


def main() -> None:
    """Print Markdown."""
    parts = {
        "reading": _reading,
        "codecs": _codecs,
        "fetching": _fetching,
        "answers": _answers,
        "profile": _profile,
        "writing": _writing,
        "waiting": _waiting,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--only", choices=parts)
    options = parser.parse_args()
    samples = images(options.images)
    print(f"{cores()} cores, shared with the broker")
    with start_nodes(1) as (kafka,):
        for name, part in parts.items():
            if options.only in (None, name):
                print(f"\n## {name.capitalize()}\n")
                part(kafka.bootstrap, samples)


def _row(*cells: object) -> None:
    print(f"| {' | '.join(str(each) for each in cells)} |", flush=True)


def _head(*cells: str) -> None:
    _row(*cells)
    _row("---", *("---:" for _ in cells[1:]))


def _per_message(spent: Spent, topic: Topic) -> str:
    return f"{1e6 * spent.processor_s / topic.messages:,.1f}"


def _reading(bootstrap: str, samples: Samples) -> None:
    _head(
        "samples per message",
        "bytes",
        "checksums in Python, µs per message",
        "checksums by a library",
        "decoded as well",
        "confluent-kafka",
    )
    for number, kind in enumerate(KINDS):
        topic = fill(bootstrap, f"reading-{number}", kind, samples)
        ways: list[Callable[[], Spent]] = [
            lambda topic=topic: apart(drain, bootstrap, topic, False, {}),  # type: ignore[misc]
            lambda topic=topic: apart(drain, bootstrap, topic, True, {}),  # type: ignore[misc]
            lambda topic=topic: apart(decode_all, bootstrap, topic),  # type: ignore[misc]
        ]
        cells = [_per_message(way(), topic) for way in ways]
        cells.append(_per_message(apart(drain_librdkafka, bootstrap, topic), topic) if PEER else "")
        _row(kind, f"{topic.size / topic.messages:,.0f}", *cells)


def _codecs(bootstrap: str, samples: Samples) -> None:
    _head("samples per message", *(f"{codec or 'plain'}, µs per message" for codec in CODECS))
    for number, kind in enumerate(KINDS):
        topics = [fill(bootstrap, f"codec-{number}-{codec}", kind, samples, codec) for codec in CODECS]
        _row(kind, *(_per_message(apart(drain, bootstrap, topic, True, {}), topic) for topic in topics))


def _fetching(bootstrap: str, samples: Samples) -> None:
    topics = [fill(bootstrap, f"fetch-{kind.form}", kind, samples) for kind in (ONE_JSON, MANY)]
    _head("settings", *(f"{topic.kind}: µs per message" for topic in topics))
    for settings in FETCHES:
        named = ", ".join(f"`{name}={value}`" for name, value in settings.items()) or "defaults"
        _row(named, *(_per_message(apart(drain, bootstrap, topic, True, settings), topic) for topic in topics))


def _answers(bootstrap: str, samples: Samples) -> None:
    topics = [
        fill(bootstrap, f"answers-{kind.samples}", kind, samples, most_bytes=ANSWERS_BYTES, partitions=PARTITIONS)
        for kind in (MANY, MOST)
    ]
    print(
        f"{PARTITIONS} partitions, median of {REPEATS} alternating runs: processor time in nanoseconds per byte, and "
        "the peak growth of the process.\n"
    )
    _head("", *(f"{topic.kind}: {what}" for topic in topics for what in ("ns per byte", "MB")))
    spent = [
        [[apart(drain, bootstrap, topic, True, options, helps) for _, options, helps in ANSWERS] for topic in topics]
        for _ in range(REPEATS)
    ]
    for number, (name, _, _) in enumerate(ANSWERS):
        cells = []
        for place, topic in enumerate(topics):
            runs = [run[place][number] for run in spent]
            cells.append(f"{1e9 * median(each.processor_s for each in runs) / topic.size:.1f}")
            cells.append(f"{median(each.grown for each in runs) / 1e6:,.0f}")
        _row(name, *cells)


def _profile(bootstrap: str, samples: Samples) -> None:
    topic = fill(bootstrap, "profile", ONE_JSON, samples)
    for library in (False, True):
        _head(f"{topic.kind}, checksums {'by a library' if library else 'in Python'}", "µs per message")
        for name, microseconds in apart(profile, bootstrap, topic, library):
            _row(f"`{name}`", f"{microseconds:.1f}")
        print()


def _writing(bootstrap: str, _: Samples) -> None:
    topics = ("written-from", "written-to")
    create(bootstrap, *topics)
    print(f"Panes of {PANE:,} bytes; processor time and elapsed time in milliseconds per transaction.\n")
    _head("batches of at most", *(f"panes: {panes}" for panes, _ in WRITES))

    def row(name: str, work: Callable[[int, int], Spent]) -> None:
        cells = []
        for panes, count in WRITES:
            spent = work(count, panes)
            cells.append(f"{1e3 * spent.processor_s / count:.1f}, {1e3 * spent.wall_s / count:.1f}")
        _row(name, *cells)

    def by_python(count: int, panes: int) -> Spent:
        spent: Spent = apart(transact, bootstrap, topics, count, panes, False, {"batch_size": BATCHES[0]})
        return spent

    row("16 KB, checksums in Python", by_python)
    for size in BATCHES:
        row(
            f"{size >> 10} KB",
            lambda count, panes, size=size: apart(  # type: ignore[misc]
                transact, bootstrap, topics, count, panes, True, {"batch_size": size}
            ),
        )
    if PEER:
        row("confluent-kafka", lambda count, panes: apart(transact_librdkafka, bootstrap, topics, count, panes))


def _waiting(bootstrap: str, _: Samples) -> None:
    def quantiles(seconds: NDArray[np.float64]) -> str:
        return ", ".join(f"{1e3 * each:,.0f}" for each in np.quantile(seconds, [0.5, 0.99]))

    print(f"A daemon with both roles, {RATE} messages per second of one 8x8 sample; median and 99th percentile.\n")
    _head("`fetch_max_wait_ms`", "to panes, ms", "to window results, ms", "transactions per second", "cores")
    with tempfile.TemporaryDirectory() as name:
        bundle = small_bundle(Path(name))
        for wait_ms in WAITS_MS:
            found = wait_for(bootstrap, Path(name), bundle, wait_ms)
            cells = [
                quantiles(found.panes_s),
                quantiles(found.windows_s),
                f"{found.transactions:.1f}",
                f"{found.daemon:.2f}",
            ]
            _row(wait_ms, *cells)


if __name__ == "__main__":
    main()
