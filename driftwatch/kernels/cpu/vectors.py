"""Code on vectors of samples, put together by Python that reads as what it does, in LLVM's language.

A vector holds one number of each of so many samples. A loop over `range` is unrolled; a loop over `Code.each` is a loop
of the code.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from dataclasses import dataclass

EXPONENT_BITS, EXPONENT_OF_ONE = 23, 127
BITS_OF_ROOT_HALF = 0x3F3504F3
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
"""Their sum is ln 2; a small whole number times the first has no rounding error."""


@dataclass(frozen=True)
class Index:
    """A whole number that is known once the code runs.

    Args:
        code: that it is part of.
        name: of its value there.
    """

    code: Code
    name: str

    def __add__(self, other: Index | int) -> Index:
        return self._made("add", other)

    def __sub__(self, other: Index | int) -> Index:
        return self._made("sub", other)

    def __mul__(self, other: Index | int) -> Index:
        return self._made("mul", other)

    def equals(self, other: Index | int) -> Index:
        """1 or 0."""
        same = self.code.value(f"icmp eq i64 {self.name}, {self.code.index(other)}")
        return Index(self.code, self.code.value(f"zext i1 {same} to i64"))

    def _made(self, operation: str, other: Index | int) -> Index:
        return Index(self.code, self.code.value(f"{operation} i64 {self.name}, {self.code.index(other)}"))


@dataclass(frozen=True)
class Pointer:
    """Where floats lie.

    Args:
        code: that it is part of.
        name: of its value there.
    """

    code: Code
    name: str

    def __add__(self, floats: Index | int) -> Pointer:
        offset = self.code.index(floats)
        return Pointer(self.code, self.code.value(f"getelementptr inbounds float, ptr {self.name}, i64 {offset}"))

    def load(self) -> Vector:
        """A vector that lies there."""
        return Vector(self.code, self.code.value(f"load {self.code.floats}, ptr {self.name}, align 4"))

    def spread(self) -> Vector:
        """One float that lies there, for all samples."""
        kind, words = self.code.floats, self.code.words
        one = self.code.value(f"load float, ptr {self.name}, align 4")
        first = self.code.value(f"insertelement {kind} undef, float {one}, i32 0")
        return Vector(
            self.code, self.code.value(f"shufflevector {kind} {first}, {kind} undef, {words} zeroinitializer")
        )

    def store(self, vector: Vector) -> None:
        """Puts a vector there."""
        self.code.line(f"store {self.code.floats} {vector.name}, ptr {self.name}, align 4")


@dataclass(frozen=True)
class Vector:
    """One float of each sample.

    Args:
        code: that it is part of.
        name: of its value there.
    """

    code: Code
    name: str

    def __add__(self, other: Vector | float) -> Vector:
        return self._made("fadd", other)

    def __sub__(self, other: Vector | float) -> Vector:
        return self._made("fsub", other)

    def __mul__(self, other: Vector | float) -> Vector:
        return self._made("fmul", other)

    def __truediv__(self, other: Vector | float) -> Vector:
        return self._made("fdiv", other)

    def plus_product(self, one: Vector, other: Vector | float) -> Vector:
        """This and a product, rounded once."""
        return self.code.called("fma", one, self.code.vector(other), self)

    def reaches(self, other: Vector | float) -> Mask:
        """Where this is as much, or more."""
        return self._compared("oge", other)

    def at_least(self, bound: float) -> Vector:
        """This, or the bound where that is more, or where this is no number."""
        return self._compared("ogt", bound).choose(self, bound)

    def at_most(self, bound: float) -> Vector:
        """This, or the bound where that is less, or where this is no number."""
        return self._compared("olt", bound).choose(self, bound)

    def exp(self) -> Vector:
        """The exponential, of -87 to 88, to two units in the last place."""
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
        """The natural logarithm, of normal positive numbers, to two units in the last place."""
        code = self.code
        bits = code.value(f"bitcast {code.floats} {self.name} to {code.words}")
        above = code.value(f"sub {code.words} {bits}, {code.every_word(BITS_OF_ROOT_HALF)}")
        power = code.value(f"ashr {code.words} {above}, {code.every_word(EXPONENT_BITS)}")
        exponent = code.value(f"shl {code.words} {power}, {code.every_word(EXPONENT_BITS)}")
        left = code.value(f"sub {code.words} {bits}, {exponent}")
        rest = Vector(code, code.value(f"bitcast {code.words} {left} to {code.floats}"))
        whole = Vector(code, code.value(f"sitofp {code.words} {power} to {code.floats}"))
        # Of what is left, between the roots of a half and of two, by the series of the inverse hyperbolic tangent.
        share = (rest - 1.0) / (rest + 1.0)
        square = share * share
        series = code.constant(1 / 9)
        for coefficient in (1 / 7, 1 / 5, 1 / 3):
            series = code.constant(coefficient).plus_product(series, square)
        twice = share + share
        small = (twice + whole * LN2_LOW).plus_product(twice * square, series)
        return small.plus_product(whole, LN2_HIGH)

    def _made(self, operation: str, other: Vector | float) -> Vector:
        other = self.code.vector(other)
        return Vector(self.code, self.code.value(f"{operation} {self.code.floats} {self.name}, {other.name}"))

    def _compared(self, relation: str, other: Vector | float) -> Mask:
        other = self.code.vector(other)
        return Mask(self.code, self.code.value(f"fcmp {relation} {self.code.floats} {self.name}, {other.name}"))


@dataclass(frozen=True)
class Mask:
    """Something that is true of some samples.

    Args:
        code: that it is part of.
        name: of its value there.
    """

    code: Code
    name: str

    def __and__(self, other: Mask) -> Mask:
        return Mask(self.code, self.code.value(f"and {self.code.truths} {self.name}, {other.name}"))

    def choose(self, one: Vector | float, other: Vector | float) -> Vector:
        """One where it is true, the other elsewhere."""
        kind, one, other = self.code.floats, self.code.vector(one), self.code.vector(other)
        chosen = f"select {self.code.truths} {self.name}, {kind} {one.name}, {kind} {other.name}"
        return Vector(self.code, self.code.value(chosen))


class Code:
    """One function, written as it is run through.

    Args:
        lanes: samples of a vector.
    """

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.floats, self.words, self.truths = (f"<{lanes} x {kind}>" for kind in ("float", "i32", "i1"))
        self._lines: list[str] = []
        self._declared: dict[str, str] = {}
        self._values, self._blocks, self._block = 0, 0, "start"

    @contextmanager
    def function(self, name: str, *, pointers: int, counts: int) -> Iterator[tuple[list[Pointer], list[Index]]]:
        """Its arguments: pointers to floats that do not overlap, then counts."""
        places = [Pointer(self, f"%p{k}") for k in range(pointers)]
        numbers = [Index(self, f"%n{k}") for k in range(counts)]
        arguments = [f"ptr noalias {each.name}" for each in places] + [f"i64 {each.name}" for each in numbers]
        self._lines.append(f"define void @{name}({', '.join(arguments)}) {{\n{self._block}:")
        yield places, numbers
        self._lines.append("  ret void\n}")

    def each(self, count: Index | int, carried: MutableSequence[Vector] | None = None) -> Iterator[Index]:
        """A loop of the code, run at least once: what is written in its body is run for 0, 1, ... up to the count.

        Args:
            count: of rounds.
            carried: vectors that each round replaces: before the loop, from what they are; after it, what they became.
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
        """One that is known now."""
        return Index(self, str(number))

    def constant(self, number: float) -> Vector:
        """The same for all samples."""
        (rounded,) = struct.unpack("f", struct.pack("f", number))
        bits = struct.pack(">d", rounded).hex().upper()
        return Vector(self, f"<{', '.join([f'float 0x{bits}'] * self.lanes)}>")

    def vector(self, number: Vector | float) -> Vector:
        """A vector, of a number too."""
        return number if isinstance(number, Vector) else self.constant(number)

    def every_word(self, number: int) -> str:
        """A whole number for all samples."""
        return f"<{', '.join([f'i32 {number}'] * self.lanes)}>"

    def index(self, number: Index | int) -> str:
        """How a whole number is written."""
        return number.name if isinstance(number, Index) else str(number)

    def called(self, intrinsic: str, *vectors: Vector) -> Vector:
        """What one of LLVM's functions makes of vectors."""
        name = f"@llvm.{intrinsic}.v{self.lanes}f32"
        self._declared[name] = f"declare {self.floats} {name}({', '.join([self.floats] * len(vectors))})"
        arguments = ", ".join(f"{self.floats} {each.name}" for each in vectors)
        return Vector(self, self.value(f"call {self.floats} {name}({arguments})"))

    def value(self, instruction: str) -> str:
        """The name of what an instruction gives."""
        name = self._name()
        self.line(f"{name} = {instruction}")
        return name

    def line(self, instruction: str) -> None:
        """Writes an instruction that gives nothing."""
        self._lines.append(f"  {instruction}")

    def _name(self) -> str:
        self._values += 1
        return f"%v{self._values}"

    def _begin(self, block: str) -> None:
        self._lines.append(f"{block}:")
        self._block = block

    def __str__(self) -> str:
        return "\n".join([*self._lines, *self._declared.values(), ""])
