"""All steps of one scale of an image flow, for as many samples at once as a vector holds.

A sample keeps its place in the vectors: nothing is shuffled, and no two samples ever meet. Two pixels' hidden
activations are computed from first to last while they are in the nearest cache; the last convolution is a product too,
of what each pixel gives to its nine neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from driftwatch.flows.image import MAX_LOG_SCALE
from driftwatch.kernels.cpu.products import UNROLLED, add_products, outputs_of, parts_of
from driftwatch.kernels.cpu.vectors import Code, Index, Pointer, Vector

SIDE = 3
"""Of the convolutions."""

GIVEN = 4
"""Outputs of the last convolution that are summed at once, each for four columns of pixels."""

OVERFLOW = 30.0
"""Beyond so many, the bound of a log-scale is met to the last bit."""


@dataclass(frozen=True)
class ScaleShape:
    """What a scale's code is written for.

    Args:
        height: of the squeezed image.
        width: likewise.
        channels: likewise, a multiple of four.
        hidden: channels of a coupling's hidden layers.
        lanes: samples of a vector.
    """

    height: int
    width: int
    channels: int
    hidden: int
    lanes: int

    @property
    def half(self) -> int:
        """Channels that condition, and those that are moved."""
        return self.channels // 2

    @property
    def outputs(self) -> int:
        """Of a product, summed at once."""
        return outputs_of(self.lanes)

    @property
    def weights(self) -> Mapping[str, int]:
        """Floats of each part of a step's weights."""
        taps = SIDE * SIDE
        return {
            "matrix": self.channels**2,
            "shift": self.channels,
            "first bias": self.hidden,
            "middle bias": self.hidden,
            "last bias": self.channels,
            "first": taps * self.half * self.hidden,
            "middle": self.hidden**2,
            "last": taps * self.hidden * self.channels,
        }

    @property
    def scratch(self) -> Mapping[str, int]:
        """Vectors of each part of what a thread needs beside images; at first, zeros."""
        padded = self.width + 2
        return {
            "kept": self.height * padded * self.half,
            "output": self.height * padded * self.channels,
            "hidden": 2 * self.hidden,
            "next": 2 * self.hidden,
            "pixel": self.channels,
        }


def code_of(shape: ScaleShape) -> str:
    """The function ``scale(images, weights, scratch, log_dets, groups, steps)``, in LLVM's language.

    Images ``(groups, H, W, C, lanes)`` are worked on in place, and log-determinants ``(groups, lanes)`` are added to.
    Weights are ``(steps, sum of shape.weights)``.
    """
    code = Code(shape.lanes)
    with code.function("scale", pointers=4, counts=2) as ((images, weights, scratch, log_dets), (groups, steps)):
        spare = parts_of(scratch, shape.scratch, shape.lanes)
        for group in code.each(groups):
            image = images + group * (shape.height * shape.width * shape.channels * shape.lanes)
            for step in code.each(steps):
                given = parts_of(weights + step * sum(shape.weights.values()), shape.weights, 1)
                _Step(code, shape, given, spare).write(image, log_dets + group * shape.lanes)
    return str(code)


class _Step:
    """One flow step.

    Args:
        code: that is written.
        shape: of the scale.
        weights: where each part of them lies.
        scratch: likewise.
    """

    def __init__(
        self, code: Code, shape: ScaleShape, weights: Mapping[str, Pointer], scratch: Mapping[str, Pointer]
    ) -> None:
        self.code, self.shape, self.weights, self.scratch = code, shape, weights, scratch
        self.padded = shape.width + 2

    def write(self, image: Pointer, log_det: Pointer) -> None:
        """All of it."""
        shape = self.shape
        for y in self.code.each(shape.height):
            for x in self.code.each(shape.width):
                pixel = image + self._vectors((y * shape.width + x) * shape.channels)
                self._mix(pixel)
                place = y * self.padded + x + 1
                self._copy(pixel, self._spare("kept", place * shape.half), shape.half)
                self._begin(self._spare("output", place * shape.channels))
        for y in self.code.each(shape.height):
            if shape.width > 1:
                for pair in self.code.each(shape.width // 2):
                    self._couple(y, pair * 2, pixels=2)
            if shape.width % 2:
                self._couple(y, self.code.number(shape.width - 1), pixels=1)
        for y in self.code.each(shape.height):
            for x in self.code.each(shape.width):
                pixel = image + self._vectors((y * shape.width + x) * shape.channels + shape.half)
                self._move(pixel, self._spare("output", (y * self.padded + x + 1) * shape.channels), log_det)

    def _mix(self, pixel: Pointer) -> None:
        """The invertible 1x1 convolution of a pixel's channels."""
        channels, before = self.shape.channels, self.scratch["pixel"]
        self._copy(pixel, before, channels)
        for four in self.code.each(channels // 4):
            sums = [(self.weights["shift"] + four * 4 + k).spread() for k in range(4)]
            rows = self.weights["matrix"] + four * (4 * channels)
            for j in range(channels):
                value = (before + self._vectors(j)).load()
                sums = [each.plus_product(value, (rows + (k * channels + j)).spread()) for k, each in enumerate(sums)]
            for k, each in enumerate(sums):
                (pixel + self._vectors(four * 4 + k)).store(each)

    def _copy(self, source: Pointer, target: Pointer, vectors: int) -> None:
        for k in range(vectors):
            (target + self._vectors(k)).store((source + self._vectors(k)).load())

    def _begin(self, output: Pointer) -> None:
        for k in range(self.shape.channels):
            (output + self._vectors(k)).store((self.weights["last bias"] + k).spread())

    def _couple(self, y: Index, x: Index, *, pixels: int) -> None:
        """What one or two pixels give to the outputs around them."""
        shape = self.shape
        # Of the three rows that a convolution reaches, those of the image: the first of them, and how many.
        top, bottom = y.equals(0), y.equals(shape.height - 1)
        rows = self.code.number(SIDE) - top - bottom
        above = self._spare("kept", ((y + top - 1) * self.padded + x) * shape.half)

        def first(outputs: Index, sums: list[Vector]) -> None:
            depth = SIDE * shape.half
            weights = self.weights["first"] + (outputs * SIDE + top) * (depth * shape.outputs)
            for row in self.code.each(rows, sums):
                line = above + self._vectors(row * (self.padded * shape.half))
                add_products(line, shape.half, weights + row * (depth * shape.outputs), range(depth), sums)

        def middle(outputs: Index, sums: list[Vector]) -> None:
            weights = self.weights["middle"] + outputs * (shape.hidden * shape.outputs)
            for some in self.code.each(shape.hidden // UNROLLED, sums):
                line = self.scratch["hidden"] + self._vectors(some * UNROLLED)
                part = weights + some * (UNROLLED * shape.outputs)
                add_products(line, shape.hidden, part, range(UNROLLED), sums)

        self._rectified("first bias", first, self.scratch["hidden"], pixels)
        self._rectified("middle bias", middle, self.scratch["next"], pixels)
        for row in self.code.each(rows):
            # What a tap takes from the row above, this row gives to the one below.
            tap = row + bottom
            self._give((y + 1 - tap) * self.padded + x, tap, pixels)

    def _rectified(
        self, bias: str, multiply: Callable[[Index, list[Vector]], None], target: Pointer, pixels: int
    ) -> None:
        """A hidden layer of some pixels: what `multiply` adds to sums that begin with biases, where it is positive."""
        shape = self.shape
        for outputs in self.code.each(shape.hidden // shape.outputs):
            biases = [(self.weights[bias] + outputs * shape.outputs + k).spread() for k in range(shape.outputs)]
            sums = biases * pixels
            multiply(outputs, sums)
            for k, each in enumerate(sums):
                place = k // shape.outputs * shape.hidden + k % shape.outputs
                (target + self._vectors(outputs * shape.outputs + place)).store(each.at_least(0.0))

    def _give(self, place: Index, tap: Index, pixels: int) -> None:
        """What pixels give to one row of outputs, from the column before them to the one after."""
        shape, some, columns = self.shape, GIVEN, pixels + 2
        for outputs in self.code.each(shape.channels // some):
            row = self._spare("output", place * shape.channels + outputs * some)
            places = [row + self._vectors(c * shape.channels + k) for c in range(columns) for k in range(some)]
            sums = [each.load() for each in places]
            size = shape.hidden * SIDE * some
            weights = self.weights["last"] + (tap * (shape.channels // some) + outputs) * size
            for part in self.code.each(shape.hidden // UNROLLED, sums):
                hidden = self.scratch["next"] + self._vectors(part * UNROLLED)
                for j in range(UNROLLED):
                    factors = [(hidden + self._vectors(p * shape.hidden + j)).load() for p in range(pixels)]
                    for across in range(SIDE):
                        for k in range(some):
                            offset = (j * SIDE + across) * some + k
                            weight = (weights + part * (UNROLLED * SIDE * some) + offset).spread()
                            for p, factor in enumerate(factors):
                                to = (p + 2 - across) * some + k
                                sums[to] = sums[to].plus_product(factor, weight)
            for each, total in zip(places, sums, strict=True):
                each.store(total)

    def _move(self, moved: Pointer, output: Pointer, log_det: Pointer) -> None:
        """Shifts and scales a pixel's other channels."""
        total = log_det.load()
        for k in range(self.shape.half):
            shift, raw = ((output + self._vectors(k + part * self.shape.half)).load() for part in range(2))
            # A bound by tanh, of exponentials.
            doubled = (raw * (2 / MAX_LOG_SCALE)).at_least(-OVERFLOW).at_most(OVERFLOW)
            log_scale = self.code.constant(MAX_LOG_SCALE) - self.code.constant(2 * MAX_LOG_SCALE) / (
                doubled.exp() + 1.0
            )
            place = moved + self._vectors(k)
            place.store((place.load() + shift) * log_scale.exp())
            total += log_scale
        log_det.store(total)

    def _spare(self, name: str, vectors: Index) -> Pointer:
        return self.scratch[name] + self._vectors(vectors)

    def _vectors(self, count: Index | int) -> Index | int:
        """So many vectors, in floats."""
        return count * self.shape.lanes
