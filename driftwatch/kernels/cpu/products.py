"""Products of matrices with vectors of samples: what all layers of a flow are made of.

Two columns of factors are multiplied at once (two pixels, or two vectors' samples), so that each weight that is fetched
serves twice.
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
    """Outputs that are summed at once. AVX2 has 16 registers: eight took 1.4 times as long as four there."""
    return 4 if lanes == 8 else 8


def add_products(line: Pointer, stride: int, weights: Pointer, sums: list[Vector]) -> None:
    """Adds the products of one factor and its weights to sums.

    Args:
        line: where the first column's factor lies.
        stride: from a column to the next, in vectors.
        weights: for as many outputs as are summed at once.
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
    """Where parts of given sizes lie that follow each other."""
    return {name: start + end * unit for name, end in zip(sizes, accumulate(sizes.values(), initial=0), strict=False)}


@dataclass(frozen=True)
class Part(Generic[Shape]):
    """What is written of a part of a flow.

    Args:
        code: that is written.
        shape: of what the part belongs to.
        weights: where each part of them lies.
        scratch: likewise.
    """

    code: Code
    shape: Shape
    weights: Mapping[str, Pointer]
    scratch: Mapping[str, Pointer]

    def spare(self, name: str, vectors: Index | int) -> Pointer:
        """So many vectors into a part of the scratch."""
        return self.scratch[name] + vectors * self.code.lanes
