"""Scores the panes of a unit of work.

A GPU starts as soon as a stream has a few batches, and works while the host decodes further messages. A CPU starts
when the unit has been read, so that all batches but the last are full.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import numpy as np

from driftwatch.reference.scoring import ScoredPane, Scorer
from driftwatch.stats.summary import Array
from driftwatch.stream.events import SamplesScored
from driftwatch.stream.examples import ExampleRule, candidates
from driftwatch.stream.log import believed
from driftwatch.stream.panes import Pane, RawPane, pane_of

BATCHES = 2
"""Batches that a GPU starts with: when panes do not fill one batch exactly, a single batch would be half empty."""


class Abandoned(Exception):  # noqa: N818 - it is no error
    """A unit of work was abandoned for lack of time; nothing of it is committed."""


class PaneScoring:
    """Scores panes, and keeps their order.

    Args:
        scorer_of: returns the scorer of a stream.
        step: samples in a pane.
        examples: which samples of a pane alerts may point to.
        give_up: called between batches; whether to abandon the work.
    """

    def __init__(
        self, scorer_of: Callable[[str], Scorer], step: int, examples: ExampleRule, give_up: Callable[[], bool]
    ) -> None:
        self._scorer_of = scorer_of
        self._step = step
        self._examples = examples
        self._give_up = give_up
        self._panes: list[RawPane] = []
        self._waiting: dict[str, list[int]] = {}
        self._begun: list[tuple[Scorer, list[int], Callable[[], list[ScoredPane]]]] = []

    def __len__(self) -> int:
        """Number of panes added so far."""
        return len(self._panes)

    def add(self, panes: Iterable[RawPane]) -> None:
        """Add panes, and start scoring streams that have enough of them.

        Raises:
            Abandoned: `give_up` returned True.
        """
        for pane in panes:
            waiting = self._waiting.setdefault(pane.stream, [])
            waiting.append(len(self._panes))
            self._panes.append(pane)
            scorer = self._scorer_of(pane.stream)
            if scorer.works_aside and len(waiting) >= BATCHES * scorer.batch_size // self._step:
                self._begin(pane.stream)

    def finish(self) -> tuple[list[Pane], list[SamplesScored]]:
        """All panes scored, in the order in which they were added, and the events that report their scores.

        Raises:
            Abandoned: `give_up` returned True.
        """
        for stream in list(self._waiting):
            self._begin(stream)
        scored: dict[int, Pane] = {}
        by_stream: dict[str, tuple[list[Array], int]] = {}
        for scorer, numbers, results in self._begun:
            reference = scorer.reference
            for number, result in zip(numbers, results(), strict=True):
                raw = self._panes[number]
                found = candidates(self._examples, result.scores, raw.mark, raw.samples, reference.schema)
                scored[number] = pane_of(raw, reference.version, result, found)
                scores, _ = by_stream.get(raw.stream, ([], 0))
                scores.append(result.scores)
                by_stream[raw.stream] = scores, raw.end_ms
        # One event per stream and unit: each event costs its observers a tenth of a millisecond.
        now_ms = int(time.time() * 1000)
        events = [
            SamplesScored(name, np.concatenate(scores), believed(newest, now_ms))
            for name, (scores, newest) in by_stream.items()
        ]
        return [scored[number] for number in range(len(self._panes))], events

    def _begin(self, stream: str) -> None:
        scorer, numbers = self._scorer_of(stream), self._waiting.pop(stream)
        results = scorer.begin([self._panes[number].samples for number in numbers], self._check_abandoned)
        self._begun.append((scorer, numbers, results))

    def _check_abandoned(self) -> None:
        if self._give_up():
            raise Abandoned
