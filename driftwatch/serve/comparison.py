"""Compares the scores of a stream's newest samples with those of its reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 40
RECENT = 500
TAIL = 0.99
"""Quantile of the reference's scores above which the page speaks of the tail."""


class Comparison:
    """Two histograms over the same bins: of the reference's held-out samples, and of a stream's newest ones.

    The bins are even. They begin at the lowest of the reference's scores, and span twice the range up to its 99.9 %
    quantile; scores outside count in the bin at that end.

    Args:
        reference: scores of its held-out samples, ``(N,)``, nats; not empty.
    """

    def __init__(self, reference: NDArray[np.float64]) -> None:
        low, self._median, self._tail, usual = map(float, np.quantile(reference, (0.001, 0.5, TAIL, 0.999)))
        self._edges = np.linspace(low, low + 2 * max(usual - low, 1e-6), BINS + 1)
        self._reference = self._shares(reference)
        self._held_out = len(reference)
        self._recent: NDArray[np.float64] = np.empty(0)

    def add(self, scores: NDArray[np.float64]) -> None:
        """Add scores of new samples, ``(n,)``."""
        self._recent = np.concatenate([self._recent, scores])[-RECENT:]

    def to_json(self) -> dict[str, Any] | None:
        """Bin edges, the shares in the bins, medians, and the share in the tail; None before any sample came."""
        if not len(self._recent):
            return None
        return {
            "edges": self._edges.tolist(),
            "reference": self._reference.tolist(),
            "recent": self._shares(self._recent).tolist(),
            "samples": len(self._recent),
            "held_out": self._held_out,
            "median": float(np.median(self._recent)),
            "reference_median": self._median,
            "tail": self._tail,
            "tail_share": 1 - TAIL,
            "beyond_tail": float(np.mean(self._recent > self._tail)),
        }

    def _shares(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        known = scores[~np.isnan(scores)]
        counts, _ = np.histogram(np.clip(known, self._edges[0], self._edges[-1]), self._edges)
        return np.asarray(counts / max(1, len(known)))
