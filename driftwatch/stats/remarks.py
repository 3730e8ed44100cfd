"""What is said for people of a calibration that rests on less than what was asked for."""

from __future__ import annotations

import math

from driftwatch.stats.control import Control
from driftwatch.stats.resample import LARGEST_SHARE, is_large

WIDE = 2.0
"""A factor by which a false-alarm rate may be off before it is spoken of."""

USUAL_BANK = 5_000
"""Samples that a bank holds at most, unless ``calibration.bank_size`` says more."""


def size_remarks(longest: int, bank: int, others: int, interval: tuple[float, float] | None = None) -> tuple[str, ...]:
    """What is said of windows that are large beside the held-out samples; nothing where they are not.

    Args:
        longest: samples in the longest window.
        bank: held-out samples that windows are drawn from.
        others: held-out samples beside it.
        interval: of the samples between false alarms, where a budget is asked for.
    """
    if not is_large(longest, bank):
        return ()
    rate = f": the true rate is {_between(interval)}" if interval else ""
    doubt = 100 * longest / (longest + bank + others)
    return (
        f"windows of {longest:,} are large beside the {bank + others:,} held-out samples, of which {bank:,} are to "
        f"draw windows from: the doubt about the reference is {doubt:.0f} % of what they may be off by, so that "
        f"false alarms are as rare as asked on average over references, not of each{rate}; "
        f"{_enough(longest, bank, others)}, or take windows of {int(LARGEST_SHARE * (bank // 2)):,} at most",
    )


def _enough(longest: int, bank: int, others: int) -> str:
    """What would do for windows of `longest` samples."""
    needed = math.ceil(2 * longest / LARGEST_SHARE)
    held_out = 2 * needed if others else needed
    if held_out <= bank + others:
        return f"keep {needed:,} to draw from (calibration.bank_size)"
    if needed > USUAL_BANK:
        return f"hold out {held_out:,} (calibration.samples), and keep {needed:,} to draw from (calibration.bank_size)"
    return f"hold out {held_out:,}: train on more rows, run driftwatch recalibrate with more"


def rate_remarks(control: Control, held_out: int) -> tuple[str, ...]:
    """What is said of a budget that so many held-out samples cannot vouch for; nothing where they can."""
    if control.interval[1] <= WIDE * control.budget:
        return ()
    ratio = control.budget / held_out
    return (
        f"one false alarm in {control.budget:,.0f} samples is asked of {held_out:,} held-out ones"
        + (f" ({ratio:,.0f} times as many)" if ratio >= WIDE else "")
        + f": the true rate is {_between(control.interval)}; {4 * held_out:,} would halve their part in that doubt",
    )


def _between(interval: tuple[float, float]) -> str:
    """The interval of a rate, for people."""
    low, high = map(two_digits, interval)
    return f"between one in {low:,} and one in {high:,} (95 %)"


def two_digits(value: float) -> int:
    """A number of samples as it is told: no more of it is known.

    >>> two_digits(238_712.5)
    240000
    """
    return int(float(f"{value:.2g}"))
