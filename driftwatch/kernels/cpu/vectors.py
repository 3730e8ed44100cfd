"""Code on vectors of samples, put together by Python that reads as what it does: LLVM's language, by llvmlite.

A vector holds one number of each of so many samples. A loop over `range` is unrolled; a loop over `Code.each` is a loop
of the code.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from dataclasses import dataclass

from llvmlite import ir

FLOAT, WORD, INDEX, POINTER = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.PointerType()
BYTES = 4
"""Of a float."""

EXPONENT_BITS, EXPONENT_OF_ONE = 23, 127
BITS_OF_ROOT_HALF = 0x3F3504F3
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
"""Their sum is ln 2; a small whole number times the first has no rounding error."""


@dataclass(frozen=True)
class Index:
    """A whole number that is known once the code runs."""

    code: Code
    value: ir.Value

    def __add__(self, other: Index | int) -> Index:
        return Index(self.code, self.code.builder.add(self.value, self.code.index(other)))

    def __sub__(self, other: Index | int) -> Index:
        return Index(self.code, self.code.builder.sub(self.value, self.code.index(other)))

    def __mul__(self, other: Index | int) -> Index:
        return Index(self.code, self.code.builder.mul(self.value, self.code.index(other)))

    def equals(self, other: Index | int) -> Index:
        """1 or 0."""
        same = self.code.builder.icmp_unsigned("==", self.value, self.code.index(other))
        return Index(self.code, self.code.builder.zext(same, INDEX))


@dataclass(frozen=True)
class Pointer:
    """Where floats lie."""

    code: Code
    value: ir.Value

    def __add__(self, floats: Index | int) -> Pointer:
        offset = self.code.index(floats)
        return Pointer(self.code, self.code.builder.gep(self.value, [offset], inbounds=True, source_etype=FLOAT))

    def load(self) -> Vector:
        """A vector that lies there."""
        loaded = self.code.builder.load(self.value, typ=self.code.vector)
        loaded.align = BYTES
        return Vector(self.code, loaded)

    def spread(self) -> Vector:
        """One float that lies there, for all samples."""
        return self.code.spread(self.code.builder.load(self.value, typ=FLOAT))

    def store(self, vector: Vector) -> None:
        """Puts a vector there."""
        self.code.builder.store(vector.value, self.value).align = BYTES


@dataclass(frozen=True)
class Vector:
    """One float of each sample."""

    code: Code
    value: ir.Value

    def __add__(self, other: Vector | float) -> Vector:
        return Vector(self.code, self.code.builder.fadd(self.value, self.code.floats(other)))

    def __sub__(self, other: Vector | float) -> Vector:
        return Vector(self.code, self.code.builder.fsub(self.value, self.code.floats(other)))

    def __mul__(self, other: Vector | float) -> Vector:
        return Vector(self.code, self.code.builder.fmul(self.value, self.code.floats(other)))

    def __truediv__(self, other: Vector | float) -> Vector:
        return Vector(self.code, self.code.builder.fdiv(self.value, self.code.floats(other)))

    def plus_product(self, one: Vector, other: Vector | float) -> Vector:
        """This and a product, rounded once."""
        return self.code.called("fma", one, Vector(self.code, self.code.floats(other)), self)

    def at_least(self, bound: float) -> Vector:
        """This, or the bound where that is more, or where this is no number."""
        return self._or(">", bound)

    def at_most(self, bound: float) -> Vector:
        """This, or the bound where that is less, or where this is no number."""
        return self._or("<", bound)

    def reaches(self, other: Vector | float) -> Mask:
        """Where this is as much, or more."""
        return Mask(self.code, self.code.builder.fcmp_ordered(">=", self.value, self.code.floats(other)))

    def log(self) -> Vector:
        """The natural logarithm, of normal positive numbers, to two units in the last place."""
        build, words = self.code.builder, ir.VectorType(WORD, self.code.lanes)
        bits = build.bitcast(self.value, words)
        above = build.ashr(build.sub(bits, _all(words, BITS_OF_ROOT_HALF)), _all(words, EXPONENT_BITS))
        rest = Vector(
            self.code, build.bitcast(build.sub(bits, build.shl(above, _all(words, EXPONENT_BITS))), self.code.vector)
        )
        whole = Vector(self.code, build.sitofp(above, self.code.vector))
        # Of what is left, between the roots of a half and of two, by the series of the inverse hyperbolic tangent.
        share = (rest - 1.0) / (rest + 1.0)
        square = share * share
        series = self.code.constant(1 / 9)
        for coefficient in (1 / 7, 1 / 5, 1 / 3):
            series = self.code.constant(coefficient).plus_product(series, square)
        twice = share + share
        small = (twice + whole * LN2_LOW).plus_product(twice * square, series)
        return small.plus_product(whole, LN2_HIGH)

    def exp(self) -> Vector:
        """The exponential, of -87 to 88, to two units in the last place."""
        whole = self.code.called("rint", self * 1.4426950408889634)
        rest = self.plus_product(whole, -LN2_HIGH).plus_product(whole, -LN2_LOW)
        series = self.code.constant(1 / 720)
        for coefficient in (1 / 120, 1 / 24, 1 / 6, 0.5, 1.0, 1.0):
            series = self.code.constant(coefficient).plus_product(series, rest)
        build, words = self.code.builder, ir.VectorType(WORD, self.code.lanes)
        exponent = build.add(build.fptosi(whole.value, words), _all(words, EXPONENT_OF_ONE))
        power = build.bitcast(build.shl(exponent, _all(words, EXPONENT_BITS)), self.code.vector)
        return series * Vector(self.code, power)

    def _or(self, relation: str, bound: float) -> Vector:
        chosen = self.code.builder.fcmp_ordered(relation, self.value, self.code.floats(bound))
        return Mask(self.code, chosen).choose(self, bound)


@dataclass(frozen=True)
class Mask:
    """Something that is true of some samples."""

    code: Code
    value: ir.Value

    def __and__(self, other: Mask) -> Mask:
        return Mask(self.code, self.code.builder.and_(self.value, other.value))

    def choose(self, one: Vector | float, other: Vector | float) -> Vector:
        """One where it is true, the other elsewhere."""
        chosen = self.code.builder.select(self.value, self.code.floats(one), self.code.floats(other))
        return Vector(self.code, chosen)


class Code:
    """One function, written as it is run through.

    Args:
        lanes: samples of a vector.
    """

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.vector = ir.VectorType(FLOAT, lanes)
        self.builder = ir.IRBuilder()
        self._module = ir.Module()

    @contextmanager
    def function(self, name: str, *, pointers: int, counts: int) -> Iterator[tuple[list[Pointer], list[Index]]]:
        """Its arguments: pointers to floats that do not overlap, then counts."""
        kind = ir.FunctionType(ir.VoidType(), [POINTER] * pointers + [INDEX] * counts)
        function = ir.Function(self._module, kind, name)
        self.builder.position_at_end(function.append_basic_block())
        for argument in function.args[:pointers]:
            argument.add_attribute("noalias")
        yield (
            [Pointer(self, each) for each in function.args[:pointers]],
            [Index(self, each) for each in function.args[pointers:]],
        )
        self.builder.ret_void()

    def each(self, count: Index | int, carried: MutableSequence[Vector] | None = None) -> Iterator[Index]:
        """A loop of the code, run at least once: what is written in its body is run for 0, 1, ... up to the count.

        Args:
            count: of rounds.
            carried: vectors that each round replaces: before the loop, from what they are; after it, what they became.
        """
        build, carried = self.builder, [] if carried is None else carried
        before = build.block
        body, after = build.append_basic_block(), build.append_basic_block()
        build.branch(body)
        build.position_at_end(body)
        index, values = build.phi(INDEX), [build.phi(self.vector) for _ in carried]
        index.add_incoming(self.index(0), before)
        for k, value in enumerate(values):
            value.add_incoming(carried[k].value, before)
            carried[k] = Vector(self, value)
        yield Index(self, index)
        following = build.add(index, self.index(1))
        index.add_incoming(following, build.block)
        for k, value in enumerate(values):
            value.add_incoming(carried[k].value, build.block)
        build.cbranch(build.icmp_unsigned("<", following, self.index(count)), body, after)
        build.position_at_end(after)

    def number(self, number: int) -> Index:
        """One that is known now."""
        return Index(self, self.index(number))

    def constant(self, number: float) -> Vector:
        """The same for all samples."""
        return Vector(self, self.floats(number))

    def index(self, number: Index | int) -> ir.Value:
        """As LLVM's value."""
        return number.value if isinstance(number, Index) else ir.Constant(INDEX, number)

    def floats(self, number: Vector | float) -> ir.Value:
        """As LLVM's value; of a number, a vector of it."""
        return number.value if isinstance(number, Vector) else _all(self.vector, number)

    def spread(self, number: ir.Value) -> Vector:
        """A vector of one float, which is known once the code runs."""
        nothing, words = ir.Constant(self.vector, ir.Undefined), ir.VectorType(WORD, self.lanes)
        first = self.builder.insert_element(nothing, number, ir.Constant(WORD, 0))
        return Vector(self, self.builder.shuffle_vector(first, nothing, _all(words, 0)))

    def called(self, intrinsic: str, *vectors: Vector) -> Vector:
        """What one of LLVM's functions makes of vectors."""
        name = f"llvm.{intrinsic}.v{self.lanes}f32"
        function = self._module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(self.vector, [self.vector] * len(vectors))
            function = ir.Function(self._module, kind, name)
        return Vector(self, self.builder.call(function, [each.value for each in vectors]))

    def __str__(self) -> str:
        return str(self._module)


def _all(kind: ir.VectorType, number: float) -> ir.Constant:
    return ir.Constant(kind, [number] * kind.count)
