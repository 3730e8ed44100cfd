"""The samples that nulls are drawn from: reference samples that neither the flow nor the moments were fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.memory import NONE, Memory
from driftwatch.stats.summary import Array


@dataclass(frozen=True)
class HeldOut:
    """Held-out samples of a reference.

    Args:
        bank: summaries of single samples, which windows are drawn from, ``(B, V)``.
        others: summary of the ``M`` others, whose mean is the origin of all measurements, ``(V,)``; None if there are
            only the bank's, as for fresh data.
        memory: of the stream that the bank was taken from.
    """

    bank: NDArray[np.float32]
    others: Array | None = None
    memory: Memory = NONE

    @cached_property
    def mean(self) -> Array:
        """Mean of the bank, ``(V,)``."""
        return np.asarray(self.bank.mean(0, dtype=np.float64))
