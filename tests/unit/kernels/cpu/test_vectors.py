"""Generated vector code computes what it says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from driftwatch.kernels.cpu.compiled import Function
from driftwatch.kernels.cpu.vectors import Code, Pointer, Vector

LANES = 4


def run(write: object, *, count: int = 1, inputs: Tensor) -> Tensor:
    """The results of generated code for inputs ``(N, lanes)``; it gets pointers to inputs and results, and a count."""
    code = Code(LANES)
    with code.function("f", pointers=2, counts=1) as ((source, target), (number,)):
        write(code, source, target, number)  # type: ignore[operator]
    results = torch.full((4, LANES), torch.nan)
    Function("f", str(code), pointers=2, counts=1)(inputs.contiguous(), results, count)
    return results


def test_arithmetic_is_that_of_the_operators() -> None:
    def write(code: Code, source: Pointer, target: Pointer, _: object) -> None:
        a, b = source.load(), (source + LANES).load()
        for k, each in enumerate((a + b, a - b * 2.0, a / b, a.plus_product(b, b))):
            (target + k * LANES).store(each)

    a, b = inputs = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    torch.testing.assert_close(run(write, inputs=inputs), torch.stack([a + b, a - b * 2, a / b, a + b * b]))


def test_the_exponential_is_accurate_to_two_units_in_the_last_place() -> None:
    def write(code: Code, source: Pointer, target: Pointer, number: object) -> None:
        for k in code.each(number):  # type: ignore[arg-type]
            (target + k * LANES).store((source + k * LANES).load().exp())

    x = torch.linspace(-87, 88, 16).view(4, LANES)
    exact = x.double().exp()
    assert ((run(write, count=4, inputs=x) - exact).abs() / exact).max() < 2.0**-22


def test_the_logarithm_is_accurate_to_two_units_in_the_last_place() -> None:
    def write(code: Code, source: Pointer, target: Pointer, number: object) -> None:
        for k in code.each(number):  # type: ignore[arg-type]
            (target + k * LANES).store((source + k * LANES).load().log())

    x = torch.tensor([1.2e-38, 1e-20, 1e-3, 0.4, 0.7071067, 0.7071069, 0.99, 0.9999999, 1.0000001, 1.1, 1.4142134])
    x = torch.cat([x, torch.tensor([1.4142137, 2.0, 77.0, 1e20, 3.4e38])]).view(4, LANES)
    exact = x.double().log()
    assert ((run(write, count=4, inputs=x) - exact).abs() / exact.abs()).max() < 2.0**-22


def test_masks_select() -> None:
    def write(code: Code, source: Pointer, target: Pointer, _: object) -> None:
        x = source.load()
        (target + 0).store((x.reaches(2.0) & code.constant(3.0).reaches(x)).choose(x, -1.0))

    found = run(write, inputs=torch.tensor([1.0, 2.0, 3.0, torch.nan]))[0]
    assert found.tolist() == [-1.0, 2.0, 3.0, -1.0]


def test_a_loop_carries_vectors() -> None:
    def write(code: Code, source: Pointer, target: Pointer, number: object) -> None:
        sums = [code.constant(0.0), code.constant(1.0)]
        for k in code.each(number, sums):  # type: ignore[arg-type]
            for _ in code.each(2, sums):
                sums[0] += (source + k * LANES).load()
            sums[1] = sums[1] * 2.0
        target.store(sums[0])
        (target + LANES).store(sums[1])

    x = torch.arange(12.0).view(3, LANES)
    found = run(write, count=3, inputs=x)
    assert found[0].tolist() == (2 * x.sum(0)).tolist()
    assert found[1].tolist() == [8.0] * LANES


@pytest.mark.parametrize(
    ("bounded", "expected"),
    [(lambda x: x.at_least(0.0), [0.0, 2.0, 0.0, 5.0]), (lambda x: x.at_most(3.0), [-1.0, 2.0, 3.0, 3.0])],
    ids=["at least", "at most"],
)
def test_bounds_replace_nan(bounded: object, expected: list[float]) -> None:
    def write(code: Code, source: Pointer, target: Pointer, _: object) -> None:
        value: Vector = bounded(source.load())  # type: ignore[operator]
        target.store(value)

    assert run(write, inputs=torch.tensor([-1.0, 2.0, torch.nan, 5.0]))[0].tolist() == expected


def test_offsets_can_be_computed_at_run_time() -> None:
    def write(code: Code, source: Pointer, target: Pointer, number: object) -> None:
        two, is_three = number - 1, number.equals(3)  # type: ignore[operator, attr-defined]
        target.store((source + (two * LANES + is_three)).spread())

    assert run(write, count=3, inputs=torch.arange(16.0)).tolist()[0] == [9.0] * LANES
