"""Products of matrices with vectors of samples, of which all layers of a flow consist.

Two columns of factors are multiplied at once (two pixels, or two vectors of samples), so each weight that is loaded is
used twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, TypeVar

from driftwatch.kernels.cpu.vectors import Code, Index, Pointer, Vector

Shape = TypeVar("Shape")

COLUMNS = 2


def outputs_of(lanes: int) -> int:
    """Outputs that are summed at once. With the 16 registers of AVX2, eight took 1.4 times as long as four."""
    return 4 if lanes == 8 else 8


def add_products(line: Pointer, stride: int, weights: Pointer, sums: list[Vector]) -> None:
    """Add the products of one factor with its weights to sums.

    Args:
        line: the first column's factor.
        stride: between columns, in vectors.
        weights: of the outputs that are summed at once.
        sums: of each column's outputs; replaced in place.
    """
    outputs = outputs_of(line.code.lanes)
    factors = [(line + column * stride * line.code.lanes).load() for column in range(COLUMNS)]
    for k in range(outputs):
        weight = (weights + k).spread()
        for column, factor in enumerate(factors):
            place = column * outputs + k
            sums[place] = sums[place].plus_product(factor, weight)


def parts_of(start: Pointer, sizes: Mapping[str, int], unit: int) -> dict[str, Pointer]:
    """Pointers to consecutive parts of the given sizes."""
    return {name: start + end * unit for name, end in zip(sizes, accumulate(sizes.values(), initial=0), strict=False)}


@dataclass(frozen=True)
class Part(Generic[Shape]):
    """Code of a part of a flow.

    Args:
        code: to write to.
        shape: parameters of the code.
        weights: pointer to each part of the weights.
        scratch: pointer to each part of the scratch memory.
    """

    code: Code
    shape: Shape
    weights: Mapping[str, Pointer]
    scratch: Mapping[str, Pointer]

    def spare(self, name: str, vectors: Index | int) -> Pointer:
        """Pointer to a vector in a part of the scratch memory."""
        return self.scratch[name] + vectors * self.code.lanes
