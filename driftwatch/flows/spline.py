"""Monotonic rational-quadratic splines with linear tails, the elementwise bijections of couplings.

Reference:
    Durkan et al., "Neural Spline Flows" (arXiv 1906.04032), section 3.1 and appendix A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TAIL_BOUND = 5.0
"""Where the linear tails begin."""

MIN_BIN = 1e-3
MIN_SLOPE = 1e-3
UNIT_SLOPE = math.log(math.expm1(1 - MIN_SLOPE))
"""The unconstrained parameter at which a knot's slope is one."""


def parameter_count(bins: int) -> int:
    """The number of parameters of one spline: widths, heights, and slopes of the inner knots.

    >>> parameter_count(8)
    23
    """
    return 3 * bins - 1


def rational_quadratic_spline(x: Tensor, parameters: Tensor, *, inverse: bool = False) -> tuple[Tensor, Tensor]:
    """Map each element by its own increasing spline within `TAIL_BOUND` of zero, and by the identity outside.

    Args:
        x: values, ``(...)``.
        parameters: unconstrained, ``(..., 3 * bins - 1)``; all zeros give the identity.
        inverse: apply the inverse map.

    Returns:
        The mapped values and ``log |dy/dx|`` of the applied map, both ``(...)``.

    >>> x = torch.tensor([-7.0, 0.5, 2.0])
    >>> y, log_slope = rational_quadratic_spline(x, torch.zeros(3, 23))
    >>> torch.allclose(x, y), torch.allclose(log_slope, torch.zeros(3), atol=1e-6)
    (True, True)
    """
    inside = x.abs() < TAIL_BOUND
    clamped = x.clamp(-TAIL_BOUND, TAIL_BOUND)
    b = _bins(clamped, parameters, by_height=inverse)
    share = _solve(clamped, b) if inverse else (clamped - b.left) / b.width
    share = share.clamp(0.0, 1.0)
    both = share * (1 - share)
    denominator = b.secant + (b.slope + b.next_slope - 2 * b.secant) * both
    if inverse:
        mapped = b.left + share * b.width
    else:
        mapped = b.low + b.height * (b.secant * share.square() + b.slope * both) / denominator
    numerator = b.next_slope * share.square() + 2 * b.secant * both + b.slope * (1 - share).square()
    log_slope = 2 * b.secant.log() + numerator.log() - 2 * denominator.log()
    if inverse:
        log_slope = -log_slope
    return torch.where(inside, mapped, x), torch.where(inside, log_slope, torch.zeros_like(x))


@dataclass(frozen=True)
class _Bin:
    """The bin that contains each element: its lower left corner, its size, and the slopes at its ends."""

    left: Tensor
    width: Tensor
    low: Tensor
    height: Tensor
    slope: Tensor
    next_slope: Tensor

    @property
    def secant(self) -> Tensor:
        return self.height / self.width


def _bins(values: Tensor, parameters: Tensor, *, by_height: bool) -> _Bin:
    bins = (parameters.shape[-1] + 1) // 3
    raw_widths, raw_heights, raw_slopes = parameters.tensor_split([bins, 2 * bins], dim=-1)
    x_knots, y_knots = _knots(raw_widths), _knots(raw_heights)
    slopes = F.pad(MIN_SLOPE + F.softplus(raw_slopes + UNIT_SLOPE), (1, 1), value=1.0)
    edges = (y_knots if by_height else x_knots)[..., 1:-1].contiguous()
    index = torch.searchsorted(edges.detach(), values.detach()[..., None].contiguous(), right=True)

    def pick(table: Tensor, offset: int) -> Tensor:
        return table.gather(-1, index + offset)[..., 0]

    left, low = pick(x_knots, 0), pick(y_knots, 0)
    return _Bin(left, pick(x_knots, 1) - left, low, pick(y_knots, 1) - low, pick(slopes, 0), pick(slopes, 1))


def _knots(raw: Tensor) -> Tensor:
    """Knots from one tail to the other, ``(..., bins + 1)``, none closer than `MIN_BIN` of the span."""
    bins = raw.shape[-1]
    sizes = MIN_BIN + (1 - MIN_BIN * bins) * raw.softmax(-1)
    inner = 2 * TAIL_BOUND * sizes.cumsum(-1)[..., :-1] - TAIL_BOUND
    return F.pad(F.pad(inner, (1, 0), value=-TAIL_BOUND), (0, 1), value=TAIL_BOUND)


def _solve(y: Tensor, b: _Bin) -> Tensor:
    """The relative position within its bin, in ``[0, 1]``, at which the spline equals `y`: a stable root (eq. 29)."""
    above = y - b.low
    bend = b.slope + b.next_slope - 2 * b.secant
    quadratic = b.height * (b.secant - b.slope) + above * bend
    linear = b.height * b.slope - above * bend
    constant = -b.secant * above
    discriminant = (linear.square() - 4 * quadratic * constant).clamp(min=0.0)
    return 2 * constant / (-linear - discriminant.sqrt())
