"""Example samples of a window: those farthest from the reference and nearest to it, by their own scores.

A window's farthest samples are among its panes' farthest, so each pane carries a few candidates. They are positions in
the log; the samples themselves are included only if the configuration allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import nlargest, nsmallest
from typing import Any, NamedTuple

from driftwatch.data.previews import preview
from driftwatch.data.schema import Coerced, Schema
from driftwatch.stats.summary import Array
from driftwatch.stream.positions import Mark


@dataclass(frozen=True)
class ExampleRule:
    """Which examples alerts have.

    Args:
        count: of the farthest, and of the nearest.
        include_samples: whether to include the samples, not only their positions.
    """

    count: int = 3
    include_samples: bool = False


POSITIONS_ONLY = ExampleRule()


class Candidate(NamedTuple):
    """A candidate sample of a pane. A named tuple: there are many, and a dataclass takes three times as long to create.

    Args:
        score: its own divergence, nats.
        mark: offset of its message, and its index there.
        sample: as JSON (see `driftwatch.data.previews`), if it may be included and fits; else None.
    """

    score: float
    mark: Mark
    sample: Any = None


def some(found: Sequence[Candidate], count: int) -> tuple[Candidate, ...]:
    """The candidates that may be examples, farthest first; at most twice `count`."""
    ordered = sorted(found, key=lambda each: (-each.score, each.mark))
    return tuple(ordered if len(ordered) <= 2 * count else [*ordered[:count], *ordered[len(ordered) - count :]])


def candidates(
    rule: ExampleRule, scores: Array, mark: Callable[[int], Mark], samples: Coerced, schema: Schema
) -> tuple[Candidate, ...]:
    """The samples of a pane that may be examples of a window, farthest first; at most twice `count`.

    Args:
        rule: how many, and whether with samples.
        scores: of the pane's samples, ``(n,)``.
        mark: returns the mark of a sample by its index.
        samples: the pane's samples, ``(n, *sample_shape)``.
        schema: of a sample.
    """
    values = scores.tolist()
    # Ties go to the first sample. The heap functions beat NumPy tenfold on so few numbers.
    farthest, nearest = (
        select(rule.count, range(len(values)), key=values.__getitem__) for select in (nlargest, nsmallest)
    )
    return tuple(
        Candidate(values[i], mark(i), preview(samples[i], schema) if rule.include_samples else None)
        for i in dict.fromkeys([*farthest, *reversed(nearest)])
    )
