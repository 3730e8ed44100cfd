"""How much of the scoring loop's rate remains when messages are decoded, cut into panes, tested and written.

    python -m benchmarks.pipeline BUNDLE IMAGES --device cuda

This is everything that a daemon does except talking to Kafka, in one process: messages start in memory, and panes,
window results and alerts end as bytes. Each stage is measured alone, in samples/s, and compared with the bare scoring
loop, which receives whole panes. "Together" is the score and test roles in a thread each, as in a daemon.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue

import torch

from driftwatch.config import AlertsConfig, WindowsConfig
from driftwatch.data.codecs import encode
from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import Coerced, Samples
from driftwatch.reference.loading import load_reference
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.running import spare_collector
from driftwatch.stream.log import Record
from driftwatch.stream.pane_codec import decode_panes, encode_panes
from driftwatch.stream.panes import Pane
from driftwatch.stream.reading import Route
from driftwatch.stream.score_stage import WORK_BATCHES, ScoreStage
from driftwatch.stream.standards import Standards, standards_for
from driftwatch.stream.test_stage import Tests, TestStage

MESSAGES = (64, 1_024)
STEPS = (10, 100)
SIZES = (5, 50)
"""Window sizes, in steps."""

WARM_UP = 4_096
STREAM = "fashion"


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--samples", type=int, default=50_000)
    options = parser.parse_args()
    reference = load_reference(options.bundle, options.device)
    dataset = open_dataset(options.images)
    samples = next(dataset.chunks(reference.schema, min(dataset.rows, options.samples)))
    device = reference.device
    named = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{named}, torch {torch.__version__}; {len(samples):,} samples\n")
    print("| samples per pane | samples per message | bare scoring | score stage | test stage | together | of bare |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for step in STEPS:
        standards = standards_for(WindowsConfig(sizes=[size * step for size in SIZES], step=step), AlertsConfig())
        standards.procedure(reference)
        spare_collector()
        for count in MESSAGES:
            print(_row(reference, samples, standards, step, count), flush=True)


def _decoded(unit: list[bytes]) -> list[Pane]:
    return [pane for pane in decode_panes((each, 0, 0) for each in unit) if isinstance(pane, Pane)]


def _row(reference: Reference, samples: Samples, standards: Standards, step: int, count: int) -> str:
    bodies = [encode(samples[i : i + count], reference.schema, "npy") for i in range(0, len(samples), count)]
    records = [
        Record("inputs", 0, offset, 0, STREAM.encode(), body, tuple(headers.items()))
        for offset, (body, headers) in enumerate(bodies)
    ]
    scorer, standard = Scorer(reference), standards.standard(reference)
    whole = len(samples) // step * step
    panes = reference.schema.coerce(samples[:whole]).reshape(-1, step, *samples.shape[1:])
    scorer(list(panes[: WARM_UP // step]))

    def tested(units: Iterator[list[bytes]]) -> None:
        stage = TestStage(lambda *_: standard)
        offset = 0
        for unit in units:
            found, run = Tests(), list(enumerate(_decoded(unit), offset))
            offset += len(run)
            stage.feed_all(run, found)
            for each in found.windows:
                each.to_json()

    def together() -> None:
        handed: SimpleQueue[list[bytes] | None] = SimpleQueue()
        tester = threading.Thread(target=tested, args=(iter(handed.get, None),))
        tester.start()
        for unit in _scored(scorer, step, records):
            handed.put(encode_panes(unit))
        handed.put(None)
        tester.join()

    kept = [encode_panes(unit) for unit in _scored(scorer, step, records)]
    rates = [
        len(samples) / _seconds(work)
        for work in (
            lambda: score_bare(scorer, panes),
            lambda: deque(map(encode_panes, _scored(scorer, step, records)), 0),
            lambda: tested(iter(kept)),
            together,
        )
    ]
    figures = " | ".join(f"{rate:,.0f}" for rate in rates)
    return f"| {step} | {count:,} | {figures} | {rates[-1] / rates[0]:.0%} |"


def score_bare(scorer: Scorer, panes: Coerced) -> None:
    """Run only the scoring loop, on panes ``(N, step, *sample_shape)``, as many at once as in a unit of work."""
    at_once = max(1, WORK_BATCHES * scorer.batch_size // panes.shape[1])
    for first in range(0, len(panes), at_once):
        scorer(list(panes[first : first + at_once]))


def _scored(scorer: Scorer, step: int, records: Sequence[Record]) -> Iterator[list[Pane]]:
    stage = ScoreStage({STREAM: Route(STREAM, scorer)}, step)
    queue = deque(records)
    while queue:
        yield stage.work(queue).panes


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
