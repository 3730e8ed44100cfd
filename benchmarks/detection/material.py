"""What one part of the benchmark is made of: data to train on, fresh data of the same kind, and shifts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Raw = Any
"""An array ``(N, ...)`` or a data frame: whatever the bundle's schema reads."""

Likelihood = Callable[[Raw], float]
"""The mean negative log-likelihood of samples under the trained flow, nats."""

SIZES = (1, 5, 10, 50)
CONTAMINATED = (50,)
"""Sizes of contaminated windows: in smaller ones 5 % is often nobody."""


@dataclass(frozen=True)
class Shift:
    """What windows on the shifted side hold.

    Args:
        samples: the shifted ones, ``(N, ...)``.
        share: of a window that is shifted; the rest comes from the fresh reference data.
        sizes: of the windows.
    """

    samples: Raw
    share: float = 1.0
    sizes: tuple[int, ...] = SIZES


@dataclass(frozen=True)
class Material:
    """One reference, and shifts of it.

    Args:
        name: for options, files and tables.
        told: what it is, in a sentence.
        train: what the flow and the peers learn from.
        config: sections `flow` and `training` of the trainer's configuration.
        fresh: data of the reference's kind that nobody has seen, ``(N, ...)``.
        shifts: by name; some depend on what the flow finds likely.
    """

    name: str
    told: str
    train: Raw
    config: Mapping[str, Any]
    fresh: Raw
    shifts: Callable[[Likelihood], Mapping[str, Shift]]


def contaminated(name: str, foreign: Raw, shares: tuple[float, ...] = (0.05, 0.1, 0.2)) -> dict[str, Shift]:
    """Windows of which a share is foreign, under names such as ``10 % digits``."""
    return {f"{100 * share:.0f} % {name}": Shift(foreign, share, CONTAMINATED) for share in shares}


def whole(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Pixel values as a camera would give them."""
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)
