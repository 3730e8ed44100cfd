"""A small language for vector code: Python expressions that emit LLVM code.

A vector holds one number of each of several samples. A loop over `range` is unrolled; a loop over `Code.each` becomes a
loop in the emitted code.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from dataclasses import dataclass

EXPONENT_BITS, EXPONENT_OF_ONE = 23, 127
BITS_OF_ROOT_HALF = 0x3F3504F3
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
"""They add up to ln 2; the product of a small integer with the first is exact."""


@dataclass(frozen=True)
class Index:
    """An integer that is known when the code runs.

    Args:
        code: that it belongs to.
        name: of its value in that code.
    """

    code: Code
    name: str

    def __add__(self, other: Index | int) -> Index:
        return self._binary("add", other)

    def __sub__(self, other: Index | int) -> Index:
        return self._binary("sub", other)

    def __mul__(self, other: Index | int) -> Index:
        return self._binary("mul", other)

    def equals(self, other: Index | int) -> Index:
        """1 if equal, else 0."""
        same = self.code.value(f"icmp eq i64 {self.name}, {self.code.index(other)}")
        return Index(self.code, self.code.value(f"zext i1 {same} to i64"))

    def _binary(self, operation: str, other: Index | int) -> Index:
        return Index(self.code, self.code.value(f"{operation} i64 {self.name}, {self.code.index(other)}"))


@dataclass(frozen=True)
class Pointer:
    """A pointer to floats.

    Args:
        code: that it belongs to.
        name: of its value in that code.
    """

    code: Code
    name: str

    def __add__(self, floats: Index | int) -> Pointer:
        offset = self.code.index(floats)
        return Pointer(self.code, self.code.value(f"getelementptr inbounds float, ptr {self.name}, i64 {offset}"))

    def load(self) -> Vector:
        """Load a vector."""
        return Vector(self.code, self.code.value(f"load {self.code.floats}, ptr {self.name}, align 4"))

    def spread(self) -> Vector:
        """Load one float into all lanes."""
        kind, words = self.code.floats, self.code.words
        one = self.code.value(f"load float, ptr {self.name}, align 4")
        first = self.code.value(f"insertelement {kind} undef, float {one}, i32 0")
        return Vector(
            self.code, self.code.value(f"shufflevector {kind} {first}, {kind} undef, {words} zeroinitializer")
        )

    def store(self, vector: Vector) -> None:
        """Store a vector."""
        self.code.line(f"store {self.code.floats} {vector.name}, ptr {self.name}, align 4")


@dataclass(frozen=True)
class Vector:
    """One float per sample.

    Args:
        code: that it belongs to.
        name: of its value in that code.
    """

    code: Code
    name: str

    def __add__(self, other: Vector | float) -> Vector:
        return self._binary("fadd", other)

    def __sub__(self, other: Vector | float) -> Vector:
        return self._binary("fsub", other)

    def __mul__(self, other: Vector | float) -> Vector:
        return self._binary("fmul", other)

    def __truediv__(self, other: Vector | float) -> Vector:
        return self._binary("fdiv", other)

    def plus_product(self, one: Vector, other: Vector | float) -> Vector:
        """This plus a product, rounded once."""
        return self.code.called("fma", one, self.code.vector(other), self)

    def reaches(self, other: Vector | float) -> Mask:
        """Mask of lanes in which this is greater or equal."""
        return self._compared("oge", other)

    def at_least(self, bound: float) -> Vector:
        """The maximum of this and a bound; the bound for NaN."""
        return self._compared("ogt", bound).choose(self, bound)

    def at_most(self, bound: float) -> Vector:
        """The minimum of this and a bound; the bound for NaN."""
        return self._compared("olt", bound).choose(self, bound)

    def exp(self) -> Vector:
        """The exponential, for -87 to 88, to two units in the last place."""
        code = self.code
        whole = code.called("rint", self * 1.4426950408889634)
        rest = self.plus_product(whole, -LN2_HIGH).plus_product(whole, -LN2_LOW)
        series = code.constant(1 / 720)
        for coefficient in (1 / 120, 1 / 24, 1 / 6, 0.5, 1.0, 1.0):
            series = code.constant(coefficient).plus_product(series, rest)
        power = code.value(f"fptosi {code.floats} {whole.name} to {code.words}")
        exponent = code.value(f"add {code.words} {power}, {code.every_word(EXPONENT_OF_ONE)}")
        bits = code.value(f"shl {code.words} {exponent}, {code.every_word(EXPONENT_BITS)}")
        return series * Vector(code, code.value(f"bitcast {code.words} {bits} to {code.floats}"))

    def log(self) -> Vector:
        """The natural logarithm, for normal positive numbers, to two units in the last place."""
        code = self.code
        bits = code.value(f"bitcast {code.floats} {self.name} to {code.words}")
        above = code.value(f"sub {code.words} {bits}, {code.every_word(BITS_OF_ROOT_HALF)}")
        power = code.value(f"ashr {code.words} {above}, {code.every_word(EXPONENT_BITS)}")
        exponent = code.value(f"shl {code.words} {power}, {code.every_word(EXPONENT_BITS)}")
        left = code.value(f"sub {code.words} {bits}, {exponent}")
        rest = Vector(code, code.value(f"bitcast {code.words} {left} to {code.floats}"))
        whole = Vector(code, code.value(f"sitofp {code.words} {power} to {code.floats}"))
        # The rest, between the roots of 1/2 and 2, by the series of the inverse hyperbolic tangent.
        share = (rest - 1.0) / (rest + 1.0)
        square = share * share
        series = code.constant(1 / 9)
        for coefficient in (1 / 7, 1 / 5, 1 / 3):
            series = code.constant(coefficient).plus_product(series, square)
        twice = share + share
        small = (twice + whole * LN2_LOW).plus_product(twice * square, series)
        return small.plus_product(whole, LN2_HIGH)

    def _binary(self, operation: str, other: Vector | float) -> Vector:
        other = self.code.vector(other)
        return Vector(self.code, self.code.value(f"{operation} {self.code.floats} {self.name}, {other.name}"))

    def _compared(self, relation: str, other: Vector | float) -> Mask:
        other = self.code.vector(other)
        return Mask(self.code, self.code.value(f"fcmp {relation} {self.code.floats} {self.name}, {other.name}"))


@dataclass(frozen=True)
class Mask:
    """A truth value per sample.

    Args:
        code: that it belongs to.
        name: of its value in that code.
    """

    code: Code
    name: str

    def __and__(self, other: Mask) -> Mask:
        return Mask(self.code, self.code.value(f"and {self.code.truths} {self.name}, {other.name}"))

    def choose(self, one: Vector | float, other: Vector | float) -> Vector:
        """`one` in lanes where the mask is true, `other` elsewhere."""
        kind, one, other = self.code.floats, self.code.vector(one), self.code.vector(other)
        chosen = f"select {self.code.truths} {self.name}, {kind} {one.name}, {kind} {other.name}"
        return Vector(self.code, self.code.value(chosen))


class Code:
    """One function, emitted instruction by instruction.

    Args:
        lanes: samples per vector.
    """

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.floats, self.words, self.truths = (f"<{lanes} x {kind}>" for kind in ("float", "i32", "i1"))
        self._lines: list[str] = []
        self._declared: dict[str, str] = {}
        self._values, self._blocks, self._block = 0, 0, "start"

    @contextmanager
    def function(self, name: str, *, pointers: int, counts: int) -> Iterator[tuple[list[Pointer], list[Index]]]:
        """Emit a function with pointers to floats that do not overlap, then counts; yields its arguments."""
        places = [Pointer(self, f"%p{k}") for k in range(pointers)]
        numbers = [Index(self, f"%n{k}") for k in range(counts)]
        arguments = [f"ptr noalias {each.name}" for each in places] + [f"i64 {each.name}" for each in numbers]
        self._lines.append(f"define void @{name}({', '.join(arguments)}) {{\n{self._block}:")
        yield places, numbers
        self._lines.append("  ret void\n}")

    def each(self, count: Index | int, carried: MutableSequence[Vector] | None = None) -> Iterator[Index]:
        """Emit a loop that runs at least once, with an index of 0, 1, ... up to `count`; the body is emitted once.

        Args:
            count: of iterations.
            carried: vectors that each iteration replaces; initialized before the loop, and final after it.
        """
        carried = [] if carried is None else carried
        before, first = self._block, [each.name for each in carried]
        self._blocks += 1
        body, after = f"body{self._blocks}", f"after{self._blocks}"
        self.line(f"br label %{body}")
        self._begin(body)
        start = len(self._lines)
        index, names = self._name(), [self._name() for _ in carried]
        carried[:] = [Vector(self, name) for name in names]
        yield Index(self, index)
        following = self.value(f"add i64 {index}, 1")
        phis = [f"  {index} = phi i64 [ 0, %{before} ], [ {following}, %{self._block} ]"]
        for name, old, new in zip(names, first, carried, strict=True):
            phis.append(f"  {name} = phi {self.floats} [ {old}, %{before} ], [ {new.name}, %{self._block} ]")
        self._lines[start:start] = phis
        again = self.value(f"icmp ult i64 {following}, {self.index(count)}")
        self.line(f"br i1 {again}, label %{body}, label %{after}")
        self._begin(after)

    def number(self, number: int) -> Index:
        """An integer constant."""
        return Index(self, str(number))

    def constant(self, number: float) -> Vector:
        """The same number in all lanes."""
        (rounded,) = struct.unpack("f", struct.pack("f", number))
        bits = struct.pack(">d", rounded).hex().upper()
        return Vector(self, f"<{', '.join([f'float 0x{bits}'] * self.lanes)}>")

    def vector(self, number: Vector | float) -> Vector:
        """A vector; numbers are converted."""
        return number if isinstance(number, Vector) else self.constant(number)

    def every_word(self, number: int) -> str:
        """The same integer in all lanes."""
        return f"<{', '.join([f'i32 {number}'] * self.lanes)}>"

    def index(self, number: Index | int) -> str:
        """The text of an integer."""
        return number.name if isinstance(number, Index) else str(number)

    def called(self, intrinsic: str, *vectors: Vector) -> Vector:
        """Emit a call of an LLVM intrinsic on vectors."""
        name = f"@llvm.{intrinsic}.v{self.lanes}f32"
        self._declared[name] = f"declare {self.floats} {name}({', '.join([self.floats] * len(vectors))})"
        arguments = ", ".join(f"{self.floats} {each.name}" for each in vectors)
        return Vector(self, self.value(f"call {self.floats} {name}({arguments})"))

    def value(self, instruction: str) -> str:
        """Emit an instruction; returns the name of its result."""
        name = self._name()
        self.line(f"{name} = {instruction}")
        return name

    def line(self, instruction: str) -> None:
        """Emit an instruction without a result."""
        self._lines.append(f"  {instruction}")

    def _name(self) -> str:
        self._values += 1
        return f"%v{self._values}"

    def _begin(self, block: str) -> None:
        self._lines.append(f"{block}:")
        self._block = block

    def __str__(self) -> str:
        return "\n".join([*self._lines, *self._declared.values(), ""])
