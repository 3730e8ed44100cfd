"""The pictures' material: a Fashion-MNIST reference, its test images, and MNIST's digits, scored once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection import fashion
from benchmarks.detection.pixels import Images
from driftwatch.reference.latents import latents_of
from driftwatch.reference.loading import load_reference
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.null import WindowNull
from driftwatch.stats.sequential import Procedure
from driftwatch.stats.summary import Array

STEP, SIZES, RESOLVE_AFTER = 10, (50, 500), 3
USED = 2_000
"""Number of images of a kind, where the number does not matter."""


@dataclass(frozen=True)
class Material:
    """A reference and the images that are compared with it.

    Args:
        reference: the reference of clothes.
        clothes: Fashion-MNIST's test images, ``(10000, 28, 28)``.
        digits: MNIST's test images, ``(10000, 28, 28)``.
    """

    reference: Reference
    clothes: Images
    digits: Images

    def score(self, images: Images) -> NDArray[np.float32]:
        """The summary of each image, ``(N, V)``."""
        samples = images[:, None].astype(np.float32)
        return Scorer(self.reference).bank(samples)

    @cached_property
    def clothes_scored(self) -> NDArray[np.float32]:
        """Summaries of the first `USED` test images."""
        return self.score(self.clothes[:USED])

    @cached_property
    def digits_scored(self) -> NDArray[np.float32]:
        """Summaries of the first `USED` digits."""
        return self.score(self.digits[:USED])

    def bits(self, images: Images) -> Array:
        """Negative log-likelihoods in bits per dimension, ``(N,)``."""
        samples = images[:, None].astype(np.float32)
        return np.asarray(latents_of(self.reference.flow, samples).nll / self.reference.layout.dim / np.log(2.0))

    def null(self, size: int) -> WindowNull:
        """The null of windows of `size` images."""
        return self.reference.window_null(size, count=20_000)

    def procedure(self, budget: float, sizes: Sequence[int] = SIZES) -> Procedure:
        """The daemon's procedure at a false-alarm budget, with windows of `sizes` every `STEP` samples."""
        return self.reference.procedure(sizes, STEP, budget=budget, resolve_after=RESOLVE_AFTER)


def windows(summaries: NDArray[np.floating], size: int, count: int, seed: int = 0) -> Array:
    """The summaries of `count` windows, each summed over samples drawn without replacement, ``(count, V)``."""
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(len(summaries), size, replace=False) for _ in range(count)]
    return np.stack([summaries[chosen].sum(0, dtype=np.float64) for chosen in drawn])


def load_material(bundle: Path) -> Material:
    """Load a bundle and the data sets."""
    return Material(load_reference(bundle), fashion.images("t10k"), fashion.digits())
