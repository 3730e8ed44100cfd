"""The bare scoring loop of `benchmarks.pipeline`, alone in a process of its own."""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.pipeline import WARM_UP, score_bare
from driftwatch.data.readers import open_dataset
from driftwatch.reference.loading import load_reference
from driftwatch.reference.scoring import ScoredPane, Scorer
from driftwatch.running import spare_collector
from driftwatch.stream.score_stage import WORK_BATCHES


@dataclass(frozen=True)
class Bare:
    """How fast the loop is.

    Args:
        rate: samples a second, one unit of work after the other.
        begin: start of that measurement, by `time.monotonic`.
        end: its end, likewise.
        cores: used by the process meanwhile.
        ahead: samples a second if each unit of work is started before the last one is collected; the same on a CPU.
    """

    rate: float
    begin: float
    end: float
    cores: float
    ahead: float


def measure_bare(bundle: Path, images: Path, device: str, step: int, seconds: float) -> Bare:
    """Run it for `seconds`, and leave nothing on the device."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (bundle, images, device, step, seconds))


def _measure(bundle: Path, images: Path, device: str, step: int, seconds: float) -> Bare:
    reference = load_reference(bundle, device)
    scorer = Scorer(reference)
    unit = max(1, WORK_BATCHES * scorer.batch_size // step) * step
    dataset = open_dataset(images)
    read = next(dataset.chunks(reference.schema, min(dataset.rows, unit)))
    panes = np.resize(reference.schema.coerce(read), (unit, *read.shape[1:])).reshape(-1, step, *read.shape[1:])
    spare_collector()
    score_bare(scorer, panes[: max(1, WARM_UP // step)])
    score_bare(scorer, panes)
    begin, spent = time.monotonic(), time.process_time()
    rate = unit * _repeated(lambda: score_bare(scorer, panes), seconds)
    end, spent = time.monotonic(), time.process_time() - spent
    begun: deque[Callable[[], list[ScoredPane]]] = deque([scorer.begin(list(panes))])

    def start_and_collect() -> None:
        begun.append(scorer.begin(list(panes)))
        begun.popleft()()

    ahead = unit * _repeated(start_and_collect, seconds)
    begun.pop()()
    return Bare(rate, begin, end, spent / (end - begin), ahead)


def _repeated(work: Callable[[], None], seconds: float) -> float:
    """How often a second it can be done."""
    begin, count = time.monotonic(), 0
    while (elapsed := time.monotonic() - begin) < seconds:
        work()
        count += 1
    return count / elapsed
