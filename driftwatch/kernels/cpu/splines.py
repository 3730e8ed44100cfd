"""Code generator for all layers of a vector flow, on twice as many samples at once as a vector holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from driftwatch.flows.spline import MIN_BIN, MIN_SLOPE, TAIL_BOUND, UNIT_SLOPE, parameter_count
from driftwatch.kernels.cpu.products import COLUMNS, Part, add_products, outputs_of, parts_of
from driftwatch.kernels.cpu.vectors import Code, Index, Pointer, Vector


@dataclass(frozen=True)
class VectorShape:
    """Parameters of a vector flow's code.

    Args:
        dim: of the features, at least two.
        hidden: width of the couplings' networks.
        bins: of each spline.
        lanes: samples per vector.
    """

    dim: int
    hidden: int
    bins: int
    lanes: int

    @property
    def kept(self) -> int:
        """Number of conditioning dimensions."""
        return self.dim // 2

    @property
    def moved(self) -> int:
        """Number of dimensions transformed by splines."""
        return self.dim - self.kept

    @property
    def products(self) -> Mapping[str, tuple[int, int]]:
        """Factors and outputs of each product in a layer."""
        square = (self.hidden, self.hidden)
        return {
            "mix": (self.dim, self.dim),
            "first": (self.kept, self.hidden),
            **{f"middle {k}": square for k in range(4)},
            "last": (self.hidden, self.moved * parameter_count(self.bins)),
        }

    @property
    def weights(self) -> Mapping[str, int]:
        """Number of floats of each product's weights in a layer, biases first; the last mix has only the first part."""
        return {name: self.filled(outputs) * (factors + 1) for name, (factors, outputs) in self.products.items()}

    @property
    def scratch(self) -> Mapping[str, int]:
        """Number of vectors in each part of a thread's scratch memory."""
        hidden = COLUMNS * self.filled(self.hidden)
        return {
            "mixed": COLUMNS * self.filled(self.dim),
            "hidden": hidden,
            "rectified": hidden,
            "inside": hidden,
            "parameters": COLUMNS * self.filled(self.products["last"][1]),
        }

    def filled(self, outputs: int) -> int:
        """Round a number of outputs up to a multiple of those that are summed at once."""
        return -(-outputs // outputs_of(self.lanes)) * outputs_of(self.lanes)


def code_of(shape: VectorShape) -> str:
    """The code of ``kernel(features, weights, scratch, log_dets, groups, layers)``.

    Features ``(groups, 2, dim, lanes)`` are transformed in place, and log-determinants are added to
    ``(groups, 2, lanes)``. Weights are ``(layers, sum of shape.weights)``, followed by those of the last mix.
    """
    code = Code(shape.lanes)
    with code.function("kernel", pointers=4, counts=2) as ((features, weights, scratch, log_dets), (groups, layers)):
        spare, size = parts_of(scratch, shape.scratch, shape.lanes), sum(shape.weights.values())
        for group in code.each(groups):
            some = features + group * (COLUMNS * shape.dim * shape.lanes)
            for number in code.each(layers):
                layer = _Layer(code, shape, parts_of(weights + number * size, shape.weights, 1), spare)
                layer.write(some, log_dets + group * (COLUMNS * shape.lanes))
            _Layer(code, shape, parts_of(weights + layers * size, shape.weights, 1), spare).mix(some)
    return str(code)


class _Layer(Part[VectorShape]):
    """Code of one layer."""

    def write(self, features: Pointer, log_det: Pointer) -> None:
        """Write the whole layer."""
        shape, scratch = self.shape, self.scratch

        def begin(place: Index | int, value: Vector) -> None:
            self.spare("hidden", place).store(value)
            self.spare("rectified", place).store(value.at_least(0.0))

        def inside(place: Index | int, value: Vector) -> None:
            self.spare("inside", place).store(value.at_least(0.0))

        def add(place: Index | int, value: Vector) -> None:
            begin(place, value + self.spare("hidden", place).load())

        self.mix(features)
        hidden = shape.filled(shape.hidden)
        self._product("first", features, shape.dim, begin)
        for block in range(2):
            self._product(f"middle {2 * block}", scratch["rectified"], hidden, inside)
            self._product(f"middle {2 * block + 1}", scratch["inside"], hidden, add)
        self._product(
            "last", scratch["rectified"], hidden, lambda place, value: self.spare("parameters", place).store(value)
        )
        for column in range(COLUMNS):
            moved = features + (column * shape.dim + shape.kept) * shape.lanes
            parameters = self.spare("parameters", column * shape.filled(shape.products["last"][1]))
            slopes = log_det + column * shape.lanes
            for number in self.code.each(shape.moved):
                place = moved + number * shape.lanes
                raw = parameters + number * (parameter_count(shape.bins) * shape.lanes)
                mapped, log_slope = self._spline(place.load(), raw)
                place.store(mapped)
                slopes.store(slopes.load() + log_slope)

    def mix(self, features: Pointer) -> None:
        """Write the linear map of all dimensions, in place."""
        shape = self.shape
        self._product("mix", features, shape.dim, lambda place, value: self.spare("mixed", place).store(value))
        for column in range(COLUMNS):
            for number in self.code.each(shape.dim):
                source = self.spare("mixed", number + column * shape.filled(shape.dim))
                (features + (number + column * shape.dim) * shape.lanes).store(source.load())

    def _product(self, name: str, source: Pointer, stride: int, store: Callable[[Index | int, Vector], None]) -> None:
        """Write one product; `store` gets each output's index, among those of both columns, and its value."""
        shape, some = self.shape, outputs_of(self.shape.lanes)
        factors, outputs = shape.products[name]
        filled = shape.filled(outputs)
        for block in self.code.each(filled // some):
            sums = [(self.weights[name] + block * some + k).spread() for k in range(some)] * COLUMNS
            weights = self.weights[name] + filled + block * (factors * some)
            for factor in self.code.each(factors, sums):
                add_products(source + factor * shape.lanes, stride, weights + factor * some, sums)
            for k, value in enumerate(sums):
                store(block * some + (k // some * filled + k % some), value)

    def _spline(self, x: Vector, raw: Pointer) -> tuple[Vector, Vector]:
        """Write `driftwatch.flows.spline.rational_quadratic_spline`."""
        bins = self.shape.bins
        parameters = [(raw + k * self.shape.lanes).load() for k in range(parameter_count(bins))]
        widths, heights = self._sizes(parameters[:bins]), self._sizes(parameters[bins : 2 * bins])
        clamped = x.at_least(-TAIL_BOUND).at_most(TAIL_BOUND)
        left = low = knot = floor = self.code.constant(-TAIL_BOUND)
        width, height = widths[0], heights[0]
        slopes = [self.code.constant(1.0), *map(self._slope, parameters[2 * bins :]), self.code.constant(1.0)]
        slope, following = slopes[0], slopes[1]
        for k in range(1, bins):
            knot, floor = knot + widths[k - 1], floor + heights[k - 1]
            reached = clamped.reaches(knot)
            left, low = reached.choose(knot, left), reached.choose(floor, low)
            width, height = reached.choose(widths[k], width), reached.choose(heights[k], height)
            slope, following = reached.choose(slopes[k], slope), reached.choose(slopes[k + 1], following)
        share = ((clamped - left) / width).at_least(0.0).at_most(1.0)
        secant, rest = height / width, self.code.constant(1.0) - share
        both, square = share * rest, share * share
        denominator = secant.plus_product(slope + following - secant * 2.0, both)
        mapped = low + height * (secant * square + slope * both) / denominator
        numerator = following * square + secant * both * 2.0 + slope * rest * rest
        ratio = secant / denominator
        inside = x.reaches(-TAIL_BOUND) & self.code.constant(TAIL_BOUND).reaches(x)
        return inside.choose(mapped, x), inside.choose((ratio * ratio * numerator).log(), 0.0)

    def _sizes(self, raw: list[Vector]) -> list[Vector]:
        """Sizes of all bins, which add up to the span."""
        most = raw[0]
        for each in raw[1:]:
            most = each.reaches(most).choose(each, most)
        shares = [(each - most).at_least(-80.0).exp() for each in raw]
        total = shares[0]
        for each in shares[1:]:
            total = total + each
        unit = self.code.constant(2 * TAIL_BOUND * (1 - MIN_BIN * len(raw))) / total
        return [self.code.constant(2 * TAIL_BOUND * MIN_BIN).plus_product(each, unit) for each in shares]

    def _slope(self, raw: Vector) -> Vector:
        """Slope at a knot, by softplus."""
        shifted = raw + UNIT_SLOPE
        positive, negative = shifted.at_least(0.0), shifted.at_most(0.0)
        small = (negative - positive).at_least(-80.0).exp()
        whole = small + 1.0
        # Adds the part of `small` that was lost in rounding `small + 1`.
        rest = (small - (whole - 1.0)) / whole
        return positive + whole.log() + rest + MIN_SLOPE
