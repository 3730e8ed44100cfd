"""The bare scoring loop of `benchmarks.pipeline`, alone in a process of its own."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.pipeline import WARM_UP, score_bare
from driftwatch.data.readers import open_dataset
from driftwatch.reference.reference import load_reference
from driftwatch.reference.scoring import Scorer
from driftwatch.running import spare_collector
from driftwatch.stream.score_stage import WORK_BATCHES


@dataclass(frozen=True)
class Bare:
    """The speed of the bare scoring loop.

    Args:
        rate: samples per second.
        begin: when measuring began, as `time.monotonic`.
        end: when it ended, as `time.monotonic`.
        cores: cores that the process used.
    """

    rate: float
    begin: float
    end: float
    cores: float


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
    begin, spent, scored = time.monotonic(), time.process_time(), 0
    while (end := time.monotonic()) - begin < seconds:
        score_bare(scorer, panes)
        scored += unit
    return Bare(scored / (end - begin), begin, end, (time.process_time() - spent) / (end - begin))
