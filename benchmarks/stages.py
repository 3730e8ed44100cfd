"""What each stage costs per sample, in processor time and bytes: the basis for sizing a cluster.

    python -m benchmarks.stages BUNDLE DATA

One thread, no Kafka: messages start in memory, and panes and window results end as bytes. Processor time is measured
rather than elapsed time, because other load hardly changes it.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import torch

from driftwatch.config import AlertsConfig, WindowsConfig
from driftwatch.data.codecs import decode, encode
from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import Samples
from driftwatch.freed_memory import keep_freed_memory
from driftwatch.reference.loading import load_reference
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.running import spare_collector
from driftwatch.stream.log import Record
from driftwatch.stream.pane_codec import decode_panes, encode_panes
from driftwatch.stream.panes import Pane
from driftwatch.stream.reading import Route
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.standards import standards_for
from driftwatch.stream.test_stage import Tests, TestStage

STREAM, BATCH = "mine", 32
FORMATS = ("v1", "v2", "npy", "arrow")
STEPS = (10, 100)
UNIT = 100
"""Panes that are read and tested at once."""


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--samples", type=int, default=2_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    reference, dataset = load_reference(options.bundle), open_dataset(options.data)
    keep_freed_memory()
    spare_collector()
    samples = next(dataset.chunks(reference.schema, min(dataset.rows, options.samples)))
    print(f"{len(samples):,} samples, messages of {BATCH}, windows of 5 and 50 steps\n")
    print("| message | bytes per sample | decode, µs per sample |\n| --- | ---: | ---: |")
    for form in FORMATS:
        print(_messages(reference, samples, form))
    print("\n| samples per pane | score | encode and decode panes | test | all, µs per sample |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    sizes = []
    for step in STEPS:
        times, written = _stages(reference, samples, step)
        figures = " | ".join(f"{1e6 * each / len(samples):,.1f}" for each in (*times, sum(times)))
        print(f"| {step} | {figures} |")
        sizes.append(f"| {step} | {' | '.join(f'{each / len(samples):,.0f}' for each in written)} |")
    print("\n| samples per pane | panes | gzip | lz4 | zstd | window results, bytes per sample |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    print("\n".join(sizes))


def _bodies(reference: Reference, samples: Samples, form: str) -> list[tuple[bytes, dict[str, bytes]]]:
    return [encode(samples[i : i + BATCH], reference.schema, form) for i in range(0, len(samples), BATCH)]


def _messages(reference: Reference, samples: Samples, form: str) -> str:
    sent = _bodies(reference, samples, form)
    seconds = _processor_s(lambda: [decode(body, headers, reference.schema) for body, headers in sent])
    size = sum(len(body) for body, _ in sent)
    return f"| {form} | {size / len(samples):,.0f} | {1e6 * seconds / len(samples):,.1f} |"


def _stages(reference: Reference, samples: Samples, step: int) -> tuple[list[float], list[int]]:
    """Processor seconds of scoring, coding and testing; bytes of panes, plain and compressed, and of results."""
    records = [
        Record("inputs", 0, offset, 0, STREAM.encode(), body, tuple(headers.items()))
        for offset, (body, headers) in enumerate(_bodies(reference, samples, "npy"))
    ]
    decoding = _processor_s(lambda: [decode(each.value, each.header, reference.schema) for each in records])
    standards = standards_for(WindowsConfig(sizes=[5 * step, 50 * step], step=step), AlertsConfig())
    standard, scorer = standards.standard(reference), Scorer(reference)
    stage, queue = ScoreStage({STREAM: Route(STREAM, scorer)}, step), deque(records)
    scorer([samples[:step]])
    panes = list[bytes]()
    found = []

    def score() -> None:
        while queue:
            found.extend(stage.work(queue).panes)

    scoring = _processor_s(score)
    coding = _processor_s(lambda: panes.extend(encode_panes(found)))
    run: list[tuple[int, Pane]] = []

    def receive() -> None:
        for first in range(0, len(panes), UNIT):
            read = decode_panes((packed, 0, number) for number, packed in enumerate(panes[first : first + UNIT], first))
            run.extend((pane.number, pane) for pane in read if isinstance(pane, Pane))

    coding += _processor_s(receive)
    results: list[bytes] = []
    tester = TestStage(lambda *_: standard)

    def test() -> None:
        for first in range(0, len(run), UNIT):
            tests = Tests()
            tester.feed_all(run[first : first + UNIT], tests)
            results.extend(each.to_json() for each in tests.windows)

    testing = _processor_s(test)
    whole = b"".join(panes)
    return [scoring - decoding, coding, testing], [
        len(whole),
        len(zlib.compress(whole, 6)),
        *(len(pa.compress(whole, codec=codec, asbytes=True)) for codec in ("lz4", "zstd")),
        sum(map(len, results)),
    ]


def _processor_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
