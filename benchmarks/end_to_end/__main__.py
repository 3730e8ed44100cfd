"""How much of the scoring loop's rate remains end to end: from an Apache Kafka topic to committed panes.

    python -m benchmarks.end_to_end BUNDLE IMAGES --device cuda --stages

A topic is filled first, so producers do not compete with what is measured. Then each fleet of daemons reads it from the
beginning, sharing the device. A fleet's rate is that of committed samples in the middle of the topic; it is compared
with the bare scoring loop of `benchmarks.pipeline`, measured alone beforehand. Fleets are named by their daemons: "2"
is two with `roles: [score]`, "1+1" one with `[score]` and one with `[test]`, "both" one with both roles.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.end_to_end.bare import Bare, measure_bare
from benchmarks.end_to_end.fleet import Measured, Setup, measure, roles_of
from benchmarks.end_to_end.meters import GpuMeter
from benchmarks.end_to_end.topic import Topic, fill
from driftwatch.data.readers import open_dataset
from driftwatch.reference.bundle import load_bundle
from tests.broker import start_broker

HEAP_MB = 2_048
BROKER = "group.initial.rebalance.delay.ms=3000\n"
"""The broker's default delay: daemons that start together join the group together."""

COLUMNS = (
    "scored, samples/s",
    "relative to bare",
    "tested, samples/s",
    "GPU busy",
    "cores per scorer",
    "cores per tester",
    "cores of the broker",
    "measured, s",
    "start-up, s",
)
STAGES = ("decode", "score", "commit", "test")
STAGE_COLUMNS = ("a scorer's µs per sample", *STAGES, "other", "samples per transaction")
"""A commit includes packing its panes; other is polling, metrics and waiting. Tests have a thread of their own."""

BARE_S = 4.0
POOL = 10_000
"""Number of images, which are sent repeatedly."""


def main() -> None:
    """Print Markdown."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder, GpuMeter(options.device).running() as gpu:
        bare = measure_bare(options.bundle, options.images, options.device, options.step, BARE_S)
        _introduce(options, bare, gpu)
        with start_broker(more=BROKER, heap_mb=HEAP_MB, java=("-XX:+UseParallelGC",)) as kafka:
            source = {"max_poll_records": options.poll} if options.poll else {}
            setup = Setup(kafka, options.bundle, options.device, options.step, Path(folder), options.seconds, source)
            failed = [row for count in options.messages for row in _rows(options, setup, count, bare, gpu)]
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--samples", type=int, default=2_000_000, help="samples in a topic")
    parser.add_argument("--messages", type=int, nargs="+", default=[1_024, 64], help="samples in a message")
    parser.add_argument("--fleets", nargs="+", default=["1", "2", "4", "2+1", "both"], help="names of fleets")
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--step", type=int, default=100, help="samples in a pane")
    parser.add_argument("--poll", type=int, help="source.max_poll_records, if not the default")
    parser.add_argument("--seconds", type=float, default=120.0, help="time limit for a fleet, including its start")
    parser.add_argument("--stages", action="store_true", help="also show where a scoring daemon's time goes")
    options = parser.parse_args()
    for name in options.fleets:
        try:
            roles_of(name)
        except ValueError as error:
            parser.error(str(error))
    return options


def _introduce(options: argparse.Namespace, bare: Bare, gpu: GpuMeter) -> None:
    cuda = options.device.startswith("cuda")
    named = torch.cuda.get_device_name(options.device) if cuda else "CPU"
    print(
        f"{named}, {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}; panes of {options.step} samples\n"
    )
    busy = _share(gpu.busy(bare.begin, bare.end))
    counts = f"GPU busy {busy}, {bare.cores:.1f} cores" if cuda else f"{bare.cores:.1f} cores"
    ahead = f"{bare.ahead:,.0f} samples/s if each unit of work is started before the last one is collected"
    print(f"Bare scoring loop: {bare.rate:,.0f} samples/s; {counts}. {ahead}.", flush=True)


def _rows(options: argparse.Namespace, setup: Setup, count: int, bare: Bare, gpu: GpuMeter) -> list[str]:
    """Measure all fleets on one topic and print their rows; return those that failed."""
    topic = _fill(options, setup, count)
    size = topic.samples / 1e6
    print(f"\n## Messages of {count:,}\n\n{size:.2f} million samples, written in {topic.seconds:.1f} s.\n")
    columns = COLUMNS + (STAGE_COLUMNS if options.stages else ())
    _row("daemons", *columns)
    _row("---", *["---:"] * len(columns))
    failed: list[str] = []
    for name in options.fleets:
        try:
            measured = measure(setup, topic, name, gpu)
        except Exception as error:  # noqa: BLE001 - the machine may be lent for minutes: the other fleets go on
            failed.append(f"{name} with messages of {count}")
            sys.stderr.write(f"{failed[-1]}: {type(error).__name__}: {error}\n")
            continue
        _row(name, *_cells(measured, bare), *(_stages(measured) if options.stages else []))
    return failed


def _fill(options: argparse.Namespace, setup: Setup, count: int) -> Topic:
    schema = load_bundle(options.bundle).schema
    images = next(open_dataset(options.images).chunks(schema, POOL))
    return fill(
        setup.kafka.bootstrap, images, schema, partitions=options.partitions, count=count, samples=options.samples
    )


def _cells(measured: Measured, bare: Bare) -> list[str]:
    rate = measured.scored / measured.seconds
    tested = f"{measured.tested / measured.seconds:,.0f}" if measured.of("test") else ""
    return [
        f"{rate:,.0f}",
        f"{rate / bare.rate:.0%}",
        tested,
        _share(measured.gpu),
        _mean([measured.cores[number] for number in measured.of("score")]),
        _mean([measured.cores[number] for number in measured.of("test")]),
        f"{measured.broker:.2f}",
        f"{measured.seconds:.1f}",
        f"{measured.started_s:.1f}",
    ]


def _stages(measured: Measured) -> list[str]:
    counts = [measured.counts[number] for number in measured.of("score")]
    every = measured.seconds * len(counts)
    spent = [sum(each.seconds[stage] for each in counts) for stage in STAGES]
    left = every - sum(spent[: STAGES.index("test")])
    passes = sum(each.passes["commit"] for each in counts)
    return [
        *(f"{1e6 * seconds / measured.scored:.2f}" for seconds in (every, *spent, left)),
        f"{measured.scored / max(1, passes):,.0f}",
    ]


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _mean(values: list[float]) -> str:
    return f"{sum(values) / len(values):.2f}" if values else ""


def _row(*cells: Any) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
