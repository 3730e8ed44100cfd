"""Example samples of a window: those farthest from the reference and nearest to it, by their own scores.

A window's farthest are among its panes' farthest, so each pane carries a few candidates. They are positions in the
log; the samples themselves are there only if the user lets them leave.
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
    """Which examples there are.

    Args:
        count: of the farthest, and of the nearest.
        include_samples: whether the samples leave too, not only their positions.
    """

    count: int = 3
    include_samples: bool = False


POSITIONS_ONLY = ExampleRule()


class Candidate(NamedTuple):
    """A sample of a pane; there are several in each, and a dataclass takes three times as long to make.

    Args:
        score: its divergence by itself, nats.
        mark: offset of its message, and its row there.
        sample: as JSON (see `driftwatch.data.previews`), if it may leave and fits; else None.
    """

    score: float
    mark: Mark
    sample: Any = None


def some(found: Sequence[Candidate], count: int) -> tuple[Candidate, ...]:
    """Of candidates those that may be an example, the farthest first; at most twice `count`."""
    ordered = sorted(found, key=lambda each: (-each.score, each.mark))
    return tuple(ordered if len(ordered) <= 2 * count else [*ordered[:count], *ordered[len(ordered) - count :]])


def candidates(
    rule: ExampleRule, scores: Array, mark: Callable[[int], Mark], samples: Coerced, schema: Schema
) -> tuple[Candidate, ...]:
    """The samples of a pane that may be an example of a window, the farthest first; at most twice `count`.

    Args:
        rule: which there are.
        scores: of the pane's samples, ``(n,)``.
        mark: tells where one of them is.
        samples: themselves, ``(n, *sample_shape)``.
        schema: of a sample.
    """
    told = scores.tolist()
    # Of equal ones those that came first. Sorting a few numbers takes NumPy ten times as long.
    farthest, nearest = (few(rule.count, range(len(told)), key=told.__getitem__) for few in (nlargest, nsmallest))
    return tuple(
        Candidate(told[i], mark(i), preview(samples[i], schema) if rule.include_samples else None)
        for i in dict.fromkeys([*farthest, *reversed(nearest)])
    )
