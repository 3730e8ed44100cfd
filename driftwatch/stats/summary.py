"""Additive summaries: everything a window test needs, as one vector that merges by addition.

Per-sample functions are written against the array API standard, so they run where the latents are: on NumPy arrays on a
CPU, on torch tensors on a GPU. `Array` stands for either in those functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from driftwatch.stats.single_columns import ColumnStatistic

Array = NDArray[np.float64]

GRID = 2.0**-15
"""The resolution of stored sums: each is a whole multiple of it.

It is far finer than sampling noise (a sum of five whitened latents has standard deviation 2), and it makes adding
exact: a total is the same to the last bit in any order and for any way of cutting the stream into panes.
"""

NATIVE = np.lib.NumpyVersion(np.__version__) >= "2.1.0"
"""Whether NumPy itself implements the array API standard."""


def namespace(array: NDArray[np.floating]) -> Any:
    """The array API namespace of an array: NumPy's or torch's functions."""
    # Bypassing array_api_compat where NumPy needs no wrapper saves a third of the time on small arrays.
    return np if NATIVE and isinstance(array, np.ndarray) else array_namespace(array)


@dataclass(frozen=True)
class Layout:
    """Where each sum lies in a summary vector (METHOD.md, "Everything a window needs is additive").

    A summary of samples with whitened latents ``z``, unit vectors ``r = z/|z|``, low-rank unit projections ``y``
    and whitened sub-vectors ``u`` holds ``n``, ``sum |z|^2``, ``sum NLL``, ``sum z``, ``sum r``, ``sum y y^T``, and for
    each block ``sum u`` and ``sum u u^T``; then the sum of surprises, and ``sum y`` for each group of descriptors.

    Args:
        dim: ``d``, latent dimensions.
        blocks: ``(P, l)`` of each block: sub-vectors per sample, dimensions per sub-vector.
        axes: ``k``, the rank of the projection in which axes are compared.
        groups: name and dimensions of each group of descriptors.
        columns: statistics of single columns, computed from a table's groups.
    """

    dim: int
    blocks: tuple[tuple[int, int], ...]
    axes: int
    groups: tuple[tuple[str, int], ...] = ()
    columns: tuple[ColumnStatistic, ...] = field(default=(), repr=False, compare=False)

    @cached_property
    def size(self) -> int:
        """The number of values in a summary."""
        latent = 3 + 2 * self.dim + self.axes**2 + sum(length + length**2 for _, length in self.blocks)
        return latent + 1 + sum(length for _, length in self.groups)

    @property
    def sum_z(self) -> slice:
        return slice(3, 3 + self.dim)

    @property
    def sum_unit(self) -> slice:
        return slice(3 + self.dim, 3 + 2 * self.dim)

    @property
    def sum_axes(self) -> slice:
        start = 3 + 2 * self.dim
        return slice(start, start + self.axes**2)

    @cached_property
    def block_slices(self) -> tuple[tuple[slice, slice], ...]:
        """The slices of ``sum u`` and of ``sum u u^T`` for each block."""
        start, slices = self.sum_axes.stop, []
        for _, length in self.blocks:
            middle = start + length
            slices.append((slice(start, middle), slice(middle, middle + length**2)))
            start = middle + length**2
        return tuple(slices)

    @cached_property
    def surprise(self) -> int:
        """The index of the sum of surprises."""
        return int(self.block_slices[-1][1].stop if self.blocks else self.sum_axes.stop)

    @cached_property
    def group_slices(self) -> tuple[slice, ...]:
        """The slice of ``sum y`` for each group of descriptors."""
        ends = np.cumsum([self.surprise + 1, *(length for _, length in self.groups)]).tolist()
        return tuple(slice(start, end) for start, end in pairwise(ends))


@dataclass(frozen=True)
class Whitened:
    """Latents of ``N`` samples in the coordinates in which the reference is standard.

    Args:
        z: centred and scaled full latents, ``(N, d)``.
        axes: their low-rank projection, ``(N, k)``.
        blocks: whitened sub-vectors, ``(N, P_s, l_s)`` each.
        nll: negative log-likelihoods in nats, ``(N,)``.
    """

    z: Array
    axes: Array
    blocks: tuple[Array, ...]
    nll: Array


@dataclass(frozen=True)
class Described:
    """Descriptors of ``N`` samples in the coordinates in which the reference is standard.

    Args:
        groups: standard vectors, ``(N, K_g)`` each.
        surprise: ``-ln p`` of each sample by itself, nats, ``(N,)``.
    """

    groups: tuple[Array, ...]
    surprise: Array


def summarise_each(latents: Whitened, layout: Layout, described: Described | None = None) -> Array:
    """The summary of each single sample, ``(N, V)``; `described` may be None only if the layout has no groups."""
    xp, z = namespace(latents.z), latents.z
    n = len(z)
    square = xp.vecdot(z, z)
    out: Array = xp.empty((n, layout.size), dtype=z.dtype, device=device(z))
    out[:, 0], out[:, 1], out[:, 2] = 1.0, square, latents.nll
    out[:, layout.sum_z] = z
    out[:, layout.sum_unit] = z / xp.sqrt(square.clip(min=1e-30))[:, None]
    y = latents.axes / norms(latents.axes).clip(min=1e-15)
    out[:, layout.sum_axes] = (y[:, :, None] * y[:, None, :]).reshape(n, -1)
    for u, (first, second) in zip(latents.blocks, layout.block_slices, strict=True):
        out[:, first] = xp.sum(u, axis=1)
        out[:, second] = products(u).reshape(n, -1)
    out[:, layout.surprise] = described.surprise if described else 0.0
    for y, place in zip(described.groups if described else (), layout.group_slices, strict=True):
        out[:, place] = y
    return out


def norms(vectors: Array) -> Array:
    """The lengths of vectors ``(..., l)``, ``(..., 1)``.

    >>> norms(np.array([[3.0, 4.0]])).tolist()
    [[5.0]]
    """
    xp = namespace(vectors)
    lengths: Array = xp.sqrt(xp.sum(vectors * vectors, axis=-1, keepdims=True))
    return lengths


def products(sub_vectors: Array) -> Array:
    """Outer products of sub-vectors ``(N, P, l)``, summed over the sub-vectors of each sample, ``(N, l, l)``."""
    if sub_vectors.shape[1] == 1:  # a matrix product per sample takes twice as long
        return sub_vectors[:, 0, :, None] * sub_vectors
    xp = namespace(sub_vectors)
    summed: Array = xp.matmul(xp.matrix_transpose(sub_vectors), sub_vectors)
    return summed


def on_grid(sums: Array) -> Array:
    """Sums rounded to `GRID`.

    >>> (32768 * on_grid(np.array([1 / 3]))).tolist()
    [10923.0]
    """
    rounded: Array = namespace(sums).round(sums / GRID) * GRID
    return rounded + 0.0  # turns -0.0 into 0.0


def merge(summaries: Sequence[Array] | Array, out: Array | None = None) -> Array:
    """The summary of several slices together: their sum, added up in the order given; written to `out`, if given.

    >>> merge([np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    array([4., 6.])
    """
    return np.asarray(np.add.reduce(np.asarray(summaries, dtype=np.float64), axis=0, out=out))
