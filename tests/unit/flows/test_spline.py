"""Rational-quadratic splines: increasing, exactly invertible, with autograd's slope."""

from __future__ import annotations

import pytest
import torch

from driftwatch.flows.spline import TAIL_BOUND, parameter_count, rational_quadratic_spline

BINS = (2, 8, 16)


def random_parameters(rows: int, bins: int, *, size: float = 2.0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(bins)
    return size * torch.randn(rows, parameter_count(bins), generator=generator, dtype=dtype)


def spread(rows: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Values inside the splines, at their ends, and in their tails."""
    x = torch.linspace(-1.6 * TAIL_BOUND, 1.6 * TAIL_BOUND, rows, dtype=dtype)
    x[0], x[1], x[2] = -TAIL_BOUND, TAIL_BOUND, 40.0
    return x


@pytest.mark.parametrize("bins", BINS)
def test_the_inverse_is_exact(bins: int) -> None:
    x, parameters = spread(4_001), random_parameters(4_001, bins)
    y, log_slope = rational_quadratic_spline(x, parameters)
    back, inverse_log_slope = rational_quadratic_spline(y, parameters, inverse=True)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-8)
    torch.testing.assert_close(inverse_log_slope, -log_slope, rtol=0, atol=1e-5)


@pytest.mark.parametrize("bins", BINS)
def test_the_slope_equals_autograd_s(bins: int) -> None:
    x, parameters = spread(2_001).requires_grad_(), random_parameters(2_001, bins)
    y, log_slope = rational_quadratic_spline(x, parameters)
    (slope,) = torch.autograd.grad(y.sum(), x)
    inner = (x.abs() != TAIL_BOUND).detach()  # at its ends a spline equals the tail in value, but not in slope
    torch.testing.assert_close(log_slope[inner], slope.log()[inner], rtol=0, atol=1e-8)


def test_a_spline_increases() -> None:
    parameters = random_parameters(1, 8).expand(5_000, -1)
    y, _ = rational_quadratic_spline(torch.linspace(-8, 8, 5_000, dtype=torch.float64), parameters)
    assert (y.diff() > 0).all()


def test_zero_parameters_are_the_identity() -> None:
    x = spread(101)
    y, log_slope = rational_quadratic_spline(x, torch.zeros(101, parameter_count(8), dtype=torch.float64))
    torch.testing.assert_close(y, x, rtol=0, atol=1e-12)
    torch.testing.assert_close(log_slope, torch.zeros_like(x), rtol=0, atol=1e-12)


def test_extreme_parameters_stay_finite_in_single_precision() -> None:
    x = spread(4_001, torch.float32).requires_grad_()
    parameters = random_parameters(4_001, 8, size=30.0, dtype=torch.float32).requires_grad_()
    y, log_slope = rational_quadratic_spline(x, parameters)
    back, _ = rational_quadratic_spline(y, parameters, inverse=True)
    (y.sum() + log_slope.sum()).backward()
    for tensor in (y, log_slope, back, x.grad, parameters.grad):
        assert tensor is not None
        assert tensor.isfinite().all()


def test_single_precision_inverts_typical_splines() -> None:
    x, parameters = spread(4_001, torch.float32), random_parameters(4_001, 8, size=1.0, dtype=torch.float32)
    y, _ = rational_quadratic_spline(x, parameters)
    back, _ = rational_quadratic_spline(y, parameters, inverse=True)
    # Where a spline is flat, an error in the last bit of y is a large one in x; `back` must give the same y.
    again, _ = rational_quadratic_spline(back, parameters)
    torch.testing.assert_close(again, y, rtol=0, atol=5e-6)
    torch.testing.assert_close(back, x, rtol=0, atol=5e-3)
