"""Offline scoring of data sets of any length in constant memory: one row per sample, and one row per window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.flaws import FlawCounter, Flaws, add_flaws
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.decomposition import PARTS, decompose
from driftwatch.stats.null import DETECTORS, Tested, WindowNull
from driftwatch.stats.summary import Array

Columns = Mapping[str, NDArray[Any]]

SAMPLE_COLUMNS = ("index", "score", *PARTS, "nll", "p_value")
WINDOW_COLUMNS = (
    "window",
    "start",
    "end",
    "effect_nats",
    *(f"{name}_{what}" for name in DETECTORS for what in ("statistic", "p_value")),
)


@dataclass(frozen=True)
class Scored:
    """Some rows of the results, by column.

    Args:
        samples: one row per sample, columns `SAMPLE_COLUMNS`: scores and their parts in nats.
        windows: one row for each window that these samples completed, columns `WINDOW_COLUMNS`; ``end`` is the index
            after its last sample. None if they completed none.
        summaries: of these windows, ``(M, V)``; None if there are none.
        tested: test results of these windows; None if there are none.
        flaws: missing and unseen values in each of these windows.
    """

    samples: Columns
    windows: Columns | None
    summaries: Array | None
    tested: Tested | None
    flaws: Sequence[Flaws]


def score_dataset(
    scorer: Scorer, chunks: Iterable[NDArray[np.floating]], *, null: WindowNull | None = None
) -> Iterator[Scored]:
    """Score coerced samples, batch by batch.

    Args:
        scorer: of the reference.
        chunks: samples ``(N, *sample_shape)`` in order.
        null: also test consecutive windows of its size; an incomplete last one is not tested.

    Yields:
        The rows of each batch.
    """
    window = null.size if null else 0
    index = started = 0
    total, held = np.zeros(scorer.layout.size), 0
    flaws_of = FlawCounter(scorer.reference.schema)
    flaws: Flaws = {}
    for chunk in chunks:
        taken = 0
        for summaries in scorer.summaries(chunk):
            complete: list[Array] = []
            found: list[Flaws] = []
            rest, rows = summaries, chunk[taken : taken + len(summaries)]
            taken += len(summaries)
            while window and held + len(rest) >= window:
                total = total + rest[: window - held].sum(axis=0)
                complete.append(total)
                found.append(add_flaws([flaws, flaws_of(rows[: window - held])]))
                rest, rows = rest[window - held :], rows[window - held :]
                total, held, flaws = np.zeros(scorer.layout.size), 0, {}
            if window:
                total, held = total + rest.sum(axis=0), held + len(rest)
                flaws = add_flaws([flaws, flaws_of(rows)])
            windows, tested, completed = None, None, np.stack(complete) if complete else None
            if null is not None and completed is not None:
                tested = null.test(completed)
                windows = _windows(tested, null.size, started)
                started += len(completed)
            yield Scored(_samples(scorer, summaries, index), windows, completed, tested, found)
            index += len(summaries)


def _samples(scorer: Scorer, summaries: Array, index: int) -> Columns:
    parts = decompose(summaries, scorer.layout).parts.sum(axis=1)
    return {
        "index": np.arange(index, index + len(summaries)),
        "score": parts.sum(axis=1),
        **{name: parts[:, j] for j, name in enumerate(PARTS)},
        "nll": summaries[:, 2],
        "p_value": scorer.point_null.test(summaries).p_values["combined"],
    }


def _windows(tested: Tested, size: int, first: int) -> Columns:
    number = np.arange(first, first + len(tested.effect))
    columns: dict[str, NDArray[Any]] = {
        "window": number,
        "start": number * size,
        "end": (number + 1) * size,
        "effect_nats": tested.effect,
    }
    for name in DETECTORS:
        columns[f"{name}_statistic"] = tested.statistics[name]
        columns[f"{name}_p_value"] = tested.p_values[name]
    return columns
