"""Code generator for all steps of one scale of an image flow, on as many samples at once as a vector holds.

A sample keeps its lane in all vectors, so nothing is ever shuffled. The hidden activations of two pixels are computed
from first to last while they are in the nearest cache. The last convolution is computed as a product, too: of what each
pixel contributes to its nine neighbours.

A row of three taps maps four inputs to two outputs, or two inputs to four outputs, with four products of sums and
differences instead of six (Winograd).

Reference:
    Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (arXiv 1509.09308), section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from driftwatch.flows.image import MAX_LOG_SCALE
from driftwatch.kernels.cpu.products import COLUMNS, Part, add_products, outputs_of, parts_of
from driftwatch.kernels.cpu.vectors import Code, Index, Pointer, Vector

SIDE = 3
"""Side of the 3x3 convolutions."""

POINTS = 4
"""Products per row of taps and two pixels."""

OVERFLOW = 30.0
"""Beyond this, the bounded log-scale equals its bound to the last bit."""


@dataclass(frozen=True)
class ScaleShape:
    """Parameters of a scale's code.

    Args:
        height: of the squeezed image.
        width: of the squeezed image.
        channels: of the squeezed image, a multiple of four.
        hidden: channels of a coupling's hidden layers.
        lanes: samples per vector.
    """

    height: int
    width: int
    channels: int
    hidden: int
    lanes: int

    @property
    def half(self) -> int:
        """Number of conditioning channels, and of transformed ones."""
        return self.channels // 2

    @property
    def outputs(self) -> int:
        """Outputs of a product that are summed at once."""
        return outputs_of(self.lanes)

    @property
    def pointed(self) -> int:
        """Outputs that are summed at once if each is four sums."""
        return self.outputs // 2

    @property
    def padded(self) -> int:
        """Columns rounded up to pairs, plus one on each side."""
        return self.width + self.width % 2 + 2

    @property
    def weights(self) -> Mapping[str, int]:
        """Number of floats in each part of a step's weights."""
        return {
            "matrix": self.channels**2,
            "shift": self.channels,
            "first bias": self.hidden,
            "middle bias": self.hidden,
            "last bias": self.channels,
            "first": SIDE * POINTS * self.half * self.hidden,
            "middle": self.hidden**2,
            "last": SIDE * POINTS * self.hidden * self.channels,
        }

    @property
    def scratch(self) -> Mapping[str, int]:
        """Number of vectors in each part of a thread's scratch memory, which must be zero at first."""
        return {
            "kept": self.height * self.padded * self.half,
            "output": self.height * self.padded * self.channels,
            "taken": SIDE * POINTS * self.half,
            "hidden": COLUMNS * self.hidden,
            "given": POINTS * self.hidden,
            "pixel": self.channels,
        }


def code_of(shape: ScaleShape) -> str:
    """The code of ``kernel(images, weights, scratch, log_dets, groups, steps)``.

    Images ``(groups, H, W, C, lanes)`` are transformed in place, and log-determinants are added to ``(groups, lanes)``.
    Weights are ``(steps, sum of shape.weights)``.
    """
    code = Code(shape.lanes)
    with code.function("kernel", pointers=4, counts=2) as ((images, weights, scratch, log_dets), (groups, steps)):
        spare = parts_of(scratch, shape.scratch, shape.lanes)
        for group in code.each(groups):
            image = images + group * (shape.height * shape.width * shape.channels * shape.lanes)
            for step in code.each(steps):
                parts = parts_of(weights + step * sum(shape.weights.values()), shape.weights, 1)
                _Step(code, shape, parts, spare).write(image, log_dets + group * shape.lanes)
    return str(code)


class _Step(Part[ScaleShape]):
    """Code of one flow step."""

    def write(self, image: Pointer, log_det: Pointer) -> None:
        """Write the whole step."""
        shape = self.shape
        for y in self.code.each(shape.height):
            for x in self.code.each(shape.width):
                pixel = image + self._vectors((y * shape.width + x) * shape.channels)
                self._mix(pixel)
                place = y * self.shape.padded + x + 1
                self._copy(pixel, self.spare("kept", place * shape.half), shape.half)
                self._begin(self.spare("output", place * shape.channels))
        for y in self.code.each(shape.height):
            if shape.width > 1:
                for pair in self.code.each(shape.width // 2):
                    self._couple(y, pair * 2, alone=False)
            if shape.width % 2:
                self._couple(y, self.code.number(shape.width - 1), alone=True)
        for y in self.code.each(shape.height):
            for x in self.code.each(shape.width):
                pixel = image + self._vectors((y * shape.width + x) * shape.channels + shape.half)
                self._move(pixel, self.spare("output", (y * self.shape.padded + x + 1) * shape.channels), log_det)

    def _mix(self, pixel: Pointer) -> None:
        """The invertible 1x1 convolution of a pixel's channels."""
        channels, before = self.shape.channels, self.scratch["pixel"]
        self._copy(pixel, before, channels)
        for four in self.code.each(channels // 4):
            sums = [(self.weights["shift"] + four * 4 + k).spread() for k in range(4)]
            rows = self.weights["matrix"] + four * (4 * channels)
            for j in self.code.each(channels, sums):
                value = (before + self._vectors(j)).load()
                for k in range(4):
                    sums[k] = sums[k].plus_product(value, (rows + j + k * channels).spread())
            for k, each in enumerate(sums):
                (pixel + self._vectors(four * 4 + k)).store(each)

    def _copy(self, source: Pointer, target: Pointer, vectors: int) -> None:
        for k in self.code.each(vectors):
            (target + self._vectors(k)).store((source + self._vectors(k)).load())

    def _begin(self, output: Pointer) -> None:
        for k in self.code.each(self.shape.channels):
            (output + self._vectors(k)).store((self.weights["last bias"] + k).spread())

    def _couple(self, y: Index, x: Index, *, alone: bool) -> None:
        """Contributions of two pixels to the outputs around them; `alone`: the second one is outside the image."""
        # The rows that a convolution reaches which lie within the image: the first of the three, and their number.
        top, bottom = y.equals(0), y.equals(self.shape.height - 1)
        rows = self.code.number(SIDE) - top - bottom
        self._take(self.spare("kept", ((y + top - 1) * self.shape.padded + x) * self.shape.half), rows)
        self._first(top, rows)
        self._middle(alone=alone)
        for row in self.code.each(rows):
            # The tap that takes from the row above contributes to the row below.
            tap = row + bottom
            self._give((y + 1 - tap) * self.shape.padded + x, tap)

    def _take(self, above: Pointer, rows: Index) -> None:
        """Sums and differences of the four pixels in each row, from which two outputs are computed."""
        half = self.shape.half
        for row in self.code.each(rows):
            for channel in self.code.each(half):
                line = above + self._vectors(row * (self.shape.padded * half) + channel)
                a, b, c, d = ((line + self._vectors(k * half)).load() for k in range(POINTS))
                for point, each in enumerate((a - c, b + c, c - b, b - d)):
                    self.spare("taken", (row * half + channel) * POINTS + point).store(each)

    def _first(self, top: Index, rows: Index) -> None:
        """The 3x3 convolution of two pixels, and ReLU."""
        shape, some = self.shape, self.shape.pointed
        size = shape.half * POINTS * some
        for outputs in self.code.each(shape.hidden // some):
            nothing = [self.code.constant(0.0)] * some
            sums = nothing + [(self.weights["first bias"] + outputs * some + k).spread() for k in range(some)]
            sums += nothing * 2
            weights = self.weights["first"] + (outputs * SIDE + top) * size
            for factor in self.code.each(rows * shape.half, sums):
                self._pointwise(self.spare("taken", factor * POINTS), 1, weights + factor * (POINTS * some), sums)
            for k in range(some):
                a, b, c, d = sums[k::some]
                for pixel, value in enumerate((a + b + c, b - c - d)):
                    self.spare("hidden", outputs * some + (pixel * shape.hidden + k)).store(value.at_least(0.0))

    def _middle(self, *, alone: bool) -> None:
        """The 1x1 convolution of two pixels and ReLU, then their sum and difference."""
        shape, some = self.shape, self.shape.outputs
        for outputs in self.code.each(shape.hidden // some):
            sums = [(self.weights["middle bias"] + outputs * some + k).spread() for k in range(some)] * COLUMNS
            weights = self.weights["middle"] + outputs * (shape.hidden * some)
            for factor in self.code.each(shape.hidden, sums):
                add_products(self.spare("hidden", factor), shape.hidden, weights + factor * some, sums)
            for k in range(some):
                one, other = (each.at_least(0.0) for each in sums[k::some])
                other = self.code.constant(0.0) if alone else other
                for point, each in enumerate((one, one + other, one - other, other)):
                    self.spare("given", outputs * some + (point * shape.hidden + k)).store(each)

    def _give(self, place: Index, tap: Index) -> None:
        """Contributions of two pixels to one row of outputs, from the column before them to the one after."""
        shape, some = self.shape, self.shape.pointed
        for outputs in self.code.each(shape.channels // some):
            sums = [self.code.constant(0.0)] * (POINTS * some)
            weights = self.weights["last"] + (tap * (shape.channels // some) + outputs) * (shape.hidden * POINTS * some)
            for factor in self.code.each(shape.hidden, sums):
                self._pointwise(self.spare("given", factor), shape.hidden, weights + factor * (POINTS * some), sums)
            row = self.spare("output", place * shape.channels + outputs * some)
            for k in range(some):
                a, b, c, d = sums[k::some]
                for column, value in enumerate((a, b - c - d, b + c - a, d)):
                    output = row + self._vectors(column * shape.channels + k)
                    output.store(output.load() + value)

    def _pointwise(self, line: Pointer, between: int, weights: Pointer, sums: list[Vector]) -> None:
        """Add products of one factor's four points, `between` vectors apart, with the weights of each point."""
        some = self.shape.pointed
        for point in range(POINTS):
            factor = (line + self._vectors(point * between)).load()
            for k in range(some):
                place = point * some + k
                sums[place] = sums[place].plus_product(factor, (weights + place).spread())

    def _move(self, moved: Pointer, output: Pointer, log_det: Pointer) -> None:
        """Shift and scale the transformed channels of a pixel."""
        total = [log_det.load()]
        for k in self.code.each(self.shape.half, total):
            shift, raw = ((output + self._vectors(k + part * self.shape.half)).load() for part in range(2))
            # tanh bounds the log-scale; it is computed from exponentials.
            doubled = (raw * (2 / MAX_LOG_SCALE)).at_least(-OVERFLOW).at_most(OVERFLOW)
            most = self.code.constant(MAX_LOG_SCALE)
            log_scale = most - (most + most) / (doubled.exp() + 1.0)
            place = moved + self._vectors(k)
            place.store((place.load() + shift) * log_scale.exp())
            total[0] += log_scale
        log_det.store(total[0])

    def _vectors(self, count: Index | int) -> Index | int:
        """Convert a number of vectors to floats."""
        return count * self.shape.lanes
