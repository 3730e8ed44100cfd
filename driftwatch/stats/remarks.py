"""Remarks for users on calibrations that fall short of the requested false-alarm budget."""

from __future__ import annotations

import math

from driftwatch.stats.control import Control
from driftwatch.stats.resample import LARGEST_SHARE, is_large

WIDE = 2.0
"""Factor of uncertainty of a false-alarm rate from which on it is remarked on."""

USUAL_BANK = 5_000
"""Default size of a bank (``calibration.bank_size``)."""


def size_remarks(longest: int, bank: int, others: int, interval: tuple[float, float] | None = None) -> tuple[str, ...]:
    """The remark on windows that are large relative to the held-out samples; none if they are not.

    Args:
        longest: samples in the longest window.
        bank: held-out samples that windows are drawn from.
        others: held-out samples outside the bank.
        interval: of the samples between false alarms, if a budget is requested.
    """
    if not is_large(longest, bank):
        return ()
    rate = f": the true rate is {_between(interval)}" if interval else ""
    doubt = 100 * longest / (longest + bank + others)
    return (
        f"windows of {longest:,} are large relative to the {bank + others:,} held-out samples, of which {bank:,} are "
        f"used to draw windows: uncertainty about the reference is {doubt:.0f} % of their null variance, so the "
        f"false-alarm budget is kept on average over references, but not by each one{rate}; "
        f"{_enough(longest, bank, others)}, or use windows of at most {int(LARGEST_SHARE * (bank // 2)):,}",
    )


def _enough(longest: int, bank: int, others: int) -> str:
    """What to do about windows of `longest` samples."""
    needed = math.ceil(2 * longest / LARGEST_SHARE)
    held_out = 2 * needed if others else needed
    if held_out <= bank + others:
        return f"set calibration.bank_size to {needed:,}"
    if needed > USUAL_BANK:
        return f"set calibration.samples to {held_out:,} and calibration.bank_size to {needed:,}"
    return f"hold out {held_out:,} samples: train on more rows or run driftwatch recalibrate with more"


def rate_remarks(control: Control, held_out: int) -> tuple[str, ...]:
    """The remark on a budget that the held-out samples cannot vouch for; none if they can."""
    if control.interval[1] <= WIDE * control.budget:
        return ()
    ratio = control.budget / held_out
    return (
        f"one false alarm in {control.budget:,.0f} samples is more than {held_out:,} held-out samples can vouch for"
        + (f" ({ratio:,.0f} times their number)" if ratio >= WIDE else "")
        + f": the true rate is {_between(control.interval)}; {4 * held_out:,} held-out samples would halve their "
        "share of that uncertainty",
    )


def _between(interval: tuple[float, float]) -> str:
    """The interval of a rate, in words."""
    low, high = map(two_digits, interval)
    return f"between one in {low:,} and one in {high:,} (95 %)"


def two_digits(value: float) -> int:
    """Round a number of samples to two significant digits: it is not known more precisely.

    >>> two_digits(238_712.5)
    240000
    """
    return int(float(f"{value:.2g}"))
