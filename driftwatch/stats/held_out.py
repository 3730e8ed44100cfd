"""What nulls are drawn from: samples of the reference that neither flow nor moments were fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.memory import NONE, Memory
from driftwatch.stats.summary import Array


@dataclass(frozen=True)
class HeldOut:
    """Held-out samples.

    Args:
        bank: summaries of single ones, which windows are drawn from, ``(B, V)``.
        others: summary of the ``M`` others, from whose mean all is measured, ``(V,)``; None if the bank is all that
            there is, as is right for fresh data.
        memory: of the stream that they are a stretch of.
    """

    bank: NDArray[np.float32]
    others: Array | None = None
    memory: Memory = NONE

    @cached_property
    def mean(self) -> Array:
        """Of the bank, ``(V,)``."""
        return np.asarray(self.bank.mean(0, dtype=np.float64))
