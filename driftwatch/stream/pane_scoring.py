"""Panes of a unit of work on their way through their scorers.

A GPU begins as soon as there are some batches of a stream, and works while the host decodes what comes next. A CPU
begins when the unit has been read, so that all batches but the last are full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from driftwatch.reference.scoring import ScoredPane, Scorer
from driftwatch.stats.summary import Array
from driftwatch.stream.events import SamplesScored
from driftwatch.stream.examples import ExampleRule, candidates
from driftwatch.stream.panes import Pane, RawPane, pane_of

BATCHES = 2
"""That a GPU begins with: of panes which do not fit into one it would be half empty."""


class Abandoned(Exception):  # noqa: N818 - it is no error
    """A unit of work was given up, since there is no time to finish it; nothing of it is committed."""


class PaneScoring:
    """Scores panes, and keeps their order.

    Args:
        scorer_of: the scorer of a stream.
        step: samples in a pane.
        examples: which samples of a pane alerts may point at.
        give_up: asked between batches.
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
        """The panes taken so far."""
        return len(self._panes)

    def add(self, panes: Iterable[RawPane]) -> None:
        """Takes panes, and begins to score those of which there are enough.

        Raises:
            Abandoned: it is time to give up.
        """
        for pane in panes:
            waiting = self._waiting.setdefault(pane.stream, [])
            waiting.append(len(self._panes))
            self._panes.append(pane)
            scorer = self._scorer_of(pane.stream)
            if scorer.works_aside and len(waiting) >= BATCHES * scorer.batch_size // self._step:
                self._begin(pane.stream)

    def finish(self) -> tuple[list[Pane], list[SamplesScored]]:
        """All panes, scored, in the order in which they came, and what is to be told of them.

        Raises:
            Abandoned: it is time to give up.
        """
        for stream in list(self._waiting):
            self._begin(stream)
        scored: dict[int, Pane] = {}
        told: dict[str, tuple[list[Array], int]] = {}
        for scorer, places, results in self._begun:
            reference = scorer.reference
            for place, result in zip(places, results(), strict=True):
                raw = self._panes[place]
                found = candidates(self._examples, result.scores, raw.mark, raw.samples, reference.schema)
                scored[place] = pane_of(raw, reference.version, result, found)
                scores, _ = told.get(raw.stream, ([], 0))
                scores.append(result.scores)
                told[raw.stream] = scores, raw.end_ms
        # Of a unit at once: whoever listens takes a tenth of a millisecond each time.
        events = [SamplesScored(stream, np.concatenate(scores), newest) for stream, (scores, newest) in told.items()]
        return [scored[place] for place in range(len(self._panes))], events

    def _begin(self, stream: str) -> None:
        scorer, places = self._scorer_of(stream), self._waiting.pop(stream)
        results = scorer.begin([self._panes[place].samples for place in places], self._between)
        self._begun.append((scorer, places, results))

    def _between(self) -> None:
        if self._give_up():
            raise Abandoned
