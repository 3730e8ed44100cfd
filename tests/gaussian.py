"""A reference without a flow: latents that are already standard normal, for tests of the statistics on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from driftwatch.stats.descriptors import LATENT_MOMENTS, VALUES, latent_moments
from driftwatch.stats.hotelling import Groups, fit_groups
from driftwatch.stats.moments import Moments, fit_moments
from driftwatch.stats.summary import Array, Described, Layout, Whitened, summarise_each

Latents = list[NDArray[np.float32]]
Make = Callable[[int], Latents]


@dataclass(frozen=True)
class Gaussian:
    """A reference fitted to draws, whose summary is `others`."""

    shapes: tuple[tuple[int, int], ...]
    moments: Moments
    groups: Groups
    layout: Layout
    others: Array

    def summaries(self, z: Latents) -> Array:
        """Summaries of single samples, ``(N, V)``."""
        whitened = self.moments.whiten(z, nll(z))
        standard = self.groups.standard(descriptors(z, whitened))
        return summarise_each(whitened, self.layout, Described(standard, self.groups.surprise(standard)))


def draw(
    rng: np.random.Generator, n: int, shapes: tuple[tuple[int, int], ...], shift: float = 0.0, *, skew: float = 0.0
) -> Latents:
    """Latents in blocks ``(P, l)``: standard normal; with `skew`, log-normal with mean 0 and variance 1."""
    blocks = [rng.standard_normal((n, *shape)).astype(np.float32) for shape in shapes]
    if skew:
        mean, spread = np.exp(skew**2 / 2), np.sqrt(np.expm1(skew**2)) * np.exp(skew**2 / 2)
        blocks = [((np.exp(skew * block) - mean) / spread).astype(np.float32) for block in blocks]
    return [block + np.float32(shift) for block in blocks]


def persistent(rng: np.random.Generator, n: int, shapes: tuple[tuple[int, int], ...], persistence: float) -> Latents:
    """Latents of an autoregressive process: each is `persistence` times the one before plus noise; variance 1."""
    fresh = draw(rng, n, shapes)
    if not persistence:
        return fresh
    noise = (1.0 - persistence**2) ** 0.5
    return [
        lfilter([noise], [1.0, -persistence], block, axis=0, zi=persistence * block[:1])[0].astype(np.float32)
        for block in fresh
    ]


def nll(z: Latents) -> Array:
    """Negative log-likelihood, up to a constant."""
    return np.asarray(sum(0.5 * np.square(block).sum((1, 2)) for block in z))


def descriptors(z: Latents, whitened: Whitened) -> dict[str, Array]:
    """Descriptors: the latents themselves, and their moments."""
    values = np.concatenate([block.reshape(len(block), -1) for block in z], axis=1).astype(np.float64)
    return {LATENT_MOMENTS: latent_moments(whitened.blocks), VALUES: values}


def fitted(
    rng: np.random.Generator,
    shapes: tuple[tuple[int, int], ...],
    n: int = 20_000,
    make: Make | None = None,
    *,
    skew: float = 0.0,
) -> Gaussian:
    """A reference with moments and groups fitted to `n` draws, which `make` makes if it is given."""
    z, other = (make(n) if make else draw(rng, n, shapes, skew=skew) for _ in range(2))
    moments = fit_moments(z, nll(z))
    described = [descriptors(each, moments.whiten(each, nll(each))) for each in (other, z)]
    groups = fit_groups(described[0], described[1], (VALUES,))
    latent = moments.layout(shapes)
    layout = Layout(latent.dim, latent.blocks, latent.axes, groups.shapes)
    gaussian = Gaussian(shapes, moments, groups, layout, np.zeros(layout.size))
    return replace(gaussian, others=gaussian.summaries(z).sum(0))
