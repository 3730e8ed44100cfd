"""Offline tests of windows on the terminal: how far off each is, whether it would alarm, and what moved."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence

import numpy as np

from driftwatch.data.flaws import Flaws
from driftwatch.data.refused_rows import Refusals
from driftwatch.reference.evaluation import side_by_side
from driftwatch.reference.reference import Reference
from driftwatch.stats.null import Tested, WindowNull
from driftwatch.stats.summary import Array
from driftwatch.stream.findings import findings, moved
from driftwatch.terminal import printable

LEAST_TEXT = 30
"""Least width of the text on what moved, in characters, however narrow the terminal."""


class WindowTable:
    """Prints a line per window to stdout as results arrive, wrapped if the text on what moved is long.

    Args:
        reference: that the windows are compared with.
        rows: in the data.
        width: characters per line.
        refusals: rows that were skipped.
    """

    def __init__(self, reference: Reference, rows: int, width: int, refusals: Refusals) -> None:
        self._reference = reference
        self._refusals = refusals
        self._end = 0
        self._head = f"{{:>{len(_rows(rows, rows))}}}  {{:>8}}  {{:>7}}  {{:5}}  "
        self._width = max(width - len(self._head.format("", "", "", "")), LEAST_TEXT)

    def write(self, null: WindowNull, summaries: Array, tested: Tested, flaws: Sequence[Flaws]) -> None:
        """Print the next windows, given as summaries ``(M, V)``, tests and flaws."""
        if not self._end:
            self._line("rows", "effect", "p", "alarm", "what moved")
        ends = self._end + null.size * np.arange(1, len(summaries) + 1)
        firsts, lasts = self._refusals.index_of(ends - null.size) + 1, self._refusals.index_of(ends - 1) + 1
        self._end += null.size * len(summaries)
        windows = findings(null, tested, self._reference, moved(summaries, self._reference, flaws))
        for found, first, last in zip(windows, firsts.tolist(), lasts.tolist(), strict=True):
            alarm = "yes" if found.p_value <= side_by_side(null.size) else "no"
            # The effect has a column of its own.
            words = found.explanation.removesuffix(f"; {found.effect_nats:+.3g} nats/sample in all")
            self._line(_rows(first, last), f"{found.effect_nats:.2g}", f"{found.p_value:.2g}", alarm, words)

    def _line(self, rows: str, effect: str, p_value: str, alarm: str, moved: str) -> None:
        head = self._head.format(rows, effect, p_value, alarm)
        folded = textwrap.wrap(printable(moved), self._width)
        sys.stdout.write(head + f"\n{' ' * len(head)}".join(folded) + "\n")


def _rows(first: int, last: int) -> str:
    return f"{first}-{last}"
