"""The material of one part of the benchmark: training data, fresh data of the same kind, and shifts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Raw = Any
"""An array ``(N, ...)`` or a data frame: anything the bundle's schema reads."""

Likelihood = Callable[[Raw], float]
"""The mean negative log-likelihood of samples under the trained flow, nats."""

SIZES = (1, 5, 10, 50)
CONTAMINATED = (50,)
"""Sizes of contaminated windows: 5 % of a smaller window is often no sample at all."""


@dataclass(frozen=True)
class Shift:
    """The contents of windows on the shifted side.

    Args:
        samples: shifted samples, ``(N, ...)``.
        share: the shifted share of each window; the rest comes from the fresh reference data.
        sizes: sizes of the windows.
    """

    samples: Raw
    share: float = 1.0
    sizes: tuple[int, ...] = SIZES


@dataclass(frozen=True)
class Material:
    """One reference and its shifts.

    Args:
        name: its name in options, files and tables.
        description: one sentence that describes the reference.
        train: data for the flow and the peers to learn from.
        config: sections `flow` and `training` of the trainer's configuration.
        fresh: data of the reference's kind that no contender has seen, ``(N, ...)``.
        shifts: shifts by name; some depend on the flow's likelihoods.
    """

    name: str
    description: str
    train: Raw
    config: Mapping[str, Any]
    fresh: Raw
    shifts: Callable[[Likelihood], Mapping[str, Shift]]


def contaminated(name: str, foreign: Raw, shares: tuple[float, ...] = (0.05, 0.1, 0.2)) -> dict[str, Shift]:
    """Shifts in which only a share of each window is foreign, under names such as ``10 % digits``."""
    return {f"{100 * share:.0f} % {name}": Shift(foreign, share, CONTAMINATED) for share in shares}


def whole(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Pixel values rounded and clipped to 8 bits, as a camera produces them."""
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)
