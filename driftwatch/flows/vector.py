"""The flow for tables and vectors: linear mixing and rational-quadratic spline couplings in feature space.

Reference:
    Durkan et al., "Neural Spline Flows" (arXiv 1906.04032).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from driftwatch.flows.base import BlockSpec, Flow, Noise
from driftwatch.flows.features import FeatureTransform
from driftwatch.flows.linear import linear
from driftwatch.flows.mix import InvertibleMix
from driftwatch.flows.spline import parameter_count, rational_quadratic_spline

PATCH = 4
"""Dimensions per sub-vector in blocks of several sub-vectors."""

MAX_SINGLE_BLOCKS = 8
MAX_SHARED_BLOCKS = 16


class VectorFlow(Flow):
    """A coupling flow over any number of features, even one.

    Its density, and so its bits per dimension, refers to the features (see `FeatureTransform`), not to the raw columns:
    those mix units, categories and missing values, for which no common density exists.

    Args:
        features: fitted map from raw rows to features.
        layers: number of coupling layers.
        hidden: width of the couplings' networks.
        bins: of each spline.
        block_dim: most dimensions of a block that is a single sub-vector (see `latent_blocks`).
    """

    def __init__(
        self,
        features: FeatureTransform,
        *,
        layers: int = 6,
        hidden: int = 64,
        bins: int = 8,
        block_dim: int = 8,
    ) -> None:
        super().__init__()
        self.features = features
        self.hidden, self.bins, self.block_dim = hidden, bins, block_dim
        self.layers = nn.ModuleList(CouplingLayer(features.dim, hidden, bins) for _ in range(layers))
        self.last_mix = InvertibleMix(features.dim)
        self.blocks = latent_blocks(features.dim, block_dim)
        self.kernel: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None

    def architecture(self) -> dict[str, Any]:
        return {
            "kind": "vector",
            "features": self.features.structure(),
            "layers": len(self.layers),
            "hidden": self.hidden,
            "bins": self.bins,
            "block_dim": self.block_dim,
        }

    def prepare(self, raw: Tensor, *, generator: torch.Generator | None = None, noise: Noise = "random") -> Tensor:
        """Turn raw rows ``(N, columns)``, preferably float64, into features ``(N, dim)``; see `Flow.prepare`."""
        features: Tensor = self.features(raw, generator=generator, noise=noise)
        return features.to(self.last_mix.bias.dtype)

    def forward(self, x: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Map features ``(N, dim)`` to latents; see `Flow.forward`."""
        full, log_det = (self.kernel or self.by_layers)(x)
        ends = list(accumulate(block.vectors * block.dim for block in self.blocks))
        parts = full.tensor_split(ends[:-1], dim=1)
        latents = tuple(z.view(-1, b.vectors, b.dim) for z, b in zip(parts, self.blocks, strict=True))
        return latents, log_det

    def by_layers(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """All latent dimensions, ``(N, dim)``, and log-determinants, computed layer by layer."""
        log_det = x.new_zeros(len(x))
        for layer in self.layers:
            x, layer_log_det = layer(x)
            log_det = log_det + layer_log_det
        x, mix_log_det = self.last_mix(x)
        return x, log_det + mix_log_det

    def inverse(self, latents: tuple[Tensor, ...]) -> Tensor:
        """Map latents to features ``(N, dim)``."""
        x = self.last_mix.inverse(torch.cat([z.flatten(1) for z in latents], dim=1))
        for layer in reversed(self.layers):
            x = layer.inverse(x)  # type: ignore[operator]
        return x

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Whiten features ``(N, dim)`` in the first layer, and standardize the input of every other layer.

        Splines start as the identity, so the flow only has to learn what is not Gaussian.
        """
        first: CouplingLayer = self.layers[0]  # type: ignore[assignment]
        first.mix.initialise(x)
        first.mix.set_matrix(_whitener((x + first.mix.bias) * first.mix.log_scale.exp()))
        for index, layer in enumerate(self.layers):
            if index:
                layer.mix.initialise(x)  # type: ignore[union-attr, operator]
            x, _ = layer(x)
        self.last_mix.initialise(x)


class CouplingLayer(nn.Module):
    """Mixing, then a spline on one part of the dimensions, parametrized by the other part.

    `spline` may be replaced by a faster function that computes the same.
    """

    def __init__(self, dim: int, hidden: int, bins: int) -> None:
        super().__init__()
        self.mix = InvertibleMix(dim)
        self.kept = dim // 2
        moved = dim - self.kept
        self.parameter_shape = (moved, parameter_count(bins))
        self.conditioner = Conditioner(self.kept, moved * parameter_count(bins), hidden)
        self.spline = rational_quadratic_spline

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x, log_det = self.mix(x)
        kept, moved = x.tensor_split([self.kept], dim=1)
        moved, log_slope = self.spline(moved, self._spline_parameters(kept))
        return torch.cat([kept, moved], dim=1), log_det + log_slope.sum(1)

    def inverse(self, y: Tensor) -> Tensor:
        kept, moved = y.tensor_split([self.kept], dim=1)
        moved, _ = self.spline(moved, self._spline_parameters(kept), inverse=True)
        return self.mix.inverse(torch.cat([kept, moved], dim=1))

    def _spline_parameters(self, kept: Tensor) -> Tensor:
        return self.conditioner(kept).view(len(kept), *self.parameter_shape)  # type: ignore[no-any-return]


class Conditioner(nn.Module):
    """The small residual network that computes a coupling's spline parameters; without inputs, learnt constants."""

    def __init__(self, inputs: int, outputs: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden) if inputs else None
        self.middle = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(4 if inputs else 0))
        self.last = nn.Linear(hidden, outputs) if inputs else None
        self.constant = nn.Parameter(torch.zeros(outputs)) if not inputs else None
        if self.last is not None:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inputs)`` to ``(N, outputs)``."""
        if self.first is None or self.last is None:
            return self.constant.expand(len(x), -1)  # type: ignore[union-attr]
        h = linear(x, self.first.weight, self.first.bias)
        for inner, outer in zip(self.middle[::2], self.middle[1::2], strict=True):
            inside = linear(F.relu(h), inner.weight, inner.bias)  # type: ignore[arg-type]
            h = h + linear(F.relu(inside), outer.weight, outer.bias)  # type: ignore[arg-type]
        return linear(F.relu(h), self.last.weight, self.last.bias)


def latent_blocks(dim: int, block_dim: int = 8) -> tuple[BlockSpec, ...]:
    """Divide a latent of `dim` dimensions into blocks.

    A few dimensions are divided into equal blocks of one sub-vector each, so that every pair within a block is watched.
    Where that would take more than `MAX_SINGLE_BLOCKS` blocks, as for embeddings, sub-vectors of `PATCH` dimensions
    share blocks, which bounds the size of a summary and the noise of small windows; a remainder is a block of its own.

    >>> [(b.name, b.vectors, b.dim) for b in latent_blocks(10)]
    [('latent dims 1-5', 1, 5), ('latent dims 6-10', 1, 5)]
    >>> sum(b.vectors * b.dim for b in latent_blocks(770)), len(latent_blocks(770))
    (770, 14)
    """
    if dim <= block_dim * MAX_SINGLE_BLOCKS:
        shapes = [(1, size) for size in _even(dim, -(-dim // block_dim))]
    else:
        patches, rest = divmod(dim, PATCH)
        count = min(MAX_SHARED_BLOCKS, -(-dim // (block_dim * MAX_SINGLE_BLOCKS)))
        shapes = [(vectors, PATCH) for vectors in _even(patches, count)]
        shapes += [(1, rest)] if rest else []
    blocks, start = [], 1
    for vectors, size in shapes:
        end = start + vectors * size - 1
        blocks.append(BlockSpec(f"latent dims {start}-{end}" if end > start else f"latent dim {start}", vectors, size))
        start = end + 1
    return tuple(blocks)


def _even(total: int, parts: int) -> list[int]:
    """Split `total` into `parts` sizes that differ by at most one."""
    return [total // parts + (index < total % parts) for index in range(parts)]


def _whitener(x: Tensor) -> Tensor:
    """A matrix that decorrelates the columns of standardized rows, with more shrinkage for fewer rows."""
    n, dim = x.shape
    shrinkage = dim / (dim + n)
    eye = torch.eye(dim, dtype=torch.float64, device=x.device)
    correlation = (1 - shrinkage) * (x.double().T @ x.double()) / n + shrinkage * eye
    values, vectors = torch.linalg.eigh(correlation)
    root: Tensor = (vectors / values.sqrt()) @ vectors.T
    return root.to(x.dtype)
