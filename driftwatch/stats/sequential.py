"""From a false-alarm budget to a threshold: the whole sliding procedure, simulated on reference data.

Sliding windows overlap, and several sizes are tested at once, so a p-value is no false-alarm rate. Users choose the
number of samples between false alarms; the threshold that achieves it is read off a long simulated null stream, and
beyond the resolution of that stream it is extrapolated from the fitted tail of its alarms (METHOD.md, "From statistic
to alarm").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from driftwatch.stats.between import NullGrid, grid_sizes
from driftwatch.stats.control import Control, control_for
from driftwatch.stats.halves import SPLITS, Half, halves
from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.large import STEPS, STRETCHES, stretches
from driftwatch.stats.null import Features, WindowNull, features, fit_window_null, join
from driftwatch.stats.remarks import rate_remarks, size_remarks
from driftwatch.stats.resample import LARGEST_SHARE, is_large, null_panes
from driftwatch.stats.sliding import sliding_windows
from driftwatch.stats.summary import Array, Layout

SIMULATED = 800_000
"""Samples in all simulated streams together."""

LEAST_BY_TIME = 20
"""Samples in the smallest time-based window that is tested."""

GRID_WINDOWS = 8_000
"""Windows of each grid size, between which time-based windows are interpolated; drawn from the same streams."""


@dataclass(frozen=True)
class Procedure:
    """A calibrated sliding procedure: the null of each window size, and the threshold over all of them.

    `remarks` explain to users where the calibration falls short of the requested budget. `grid` holds the nulls of
    time-based windows, which contain any number of samples; None if there are no such windows.
    """

    nulls: Mapping[int, WindowNull]
    step: int
    control: Control
    remarks: tuple[str, ...] = ()
    grid: NullGrid | None = None

    @property
    def satisfiable(self) -> bool:
        """Whether the bank is large enough to vouch for the budget, so that there are no remarks."""
        return not self.remarks


@dataclass(frozen=True)
class SlidingNull:
    """The outcome of simulated null streams: everything a procedure needs, whatever its budget.

    Args:
        nulls: by window size.
        step: samples per pane.
        p_values: the smallest of each step, ``(J, S)``, each row from a different half of the bank; excludes windows
            that are large relative to the held-out samples.
        bank: samples in the bank.
        others: held-out samples outside the bank.
        grid: nulls of time-based windows; None if there are none.
        stretches: the smallest p-value of each step of large windows, ``(J', S')``; None if there are none.
        block: consecutive samples of the bank that were drawn together.
    """

    nulls: Mapping[int, WindowNull]
    step: int
    p_values: Array
    bank: int
    others: int = 0
    grid: NullGrid | None = None
    stretches: Array | None = None
    block: int = 1

    def is_of(self, sizes: Sequence[int], step: int, *, by_time: bool) -> bool:
        """Whether these windows were simulated; arguments as for `simulate_null`."""
        return (tuple(self.nulls), self.step, self.grid is not None) == (tuple(sizes), step, by_time)

    def procedure(self, budget: float, resolve_after: int) -> Procedure:
        """Set the threshold that keeps a false-alarm budget.

        Args:
            budget: expected samples between false alarms.
            resolve_after: steps without an alarm that separate two alarms.
        """
        distinct = self.bank if self.block > min(self.nulls) else None
        control = control_for(self.p_values, self.step, budget, resolve_after, self.stretches, distinct)
        remarks = size_remarks(max(self.nulls), self.bank, self.others, control.interval)
        remarks = remarks or rate_remarks(control, self.bank + self.others)
        return Procedure(self.nulls, self.step, control, remarks, self.grid)


def simulate_null(
    held_out: HeldOut,
    layout: Layout,
    sizes: Sequence[int],
    step: int,
    *,
    samples: int = SIMULATED,
    threads: int = 1,
    seed: int = 0,
    by_time: bool = False,
) -> SlidingNull:
    """Simulate the sliding procedure on reference data.

    Args:
        held_out: the samples to draw from.
        layout: of the summaries.
        sizes: window sizes in samples, each a multiple of `step`.
        step: samples per pane.
        samples: simulated samples in all streams together.
        threads: to simulate with; each needs memory for twice as many panes as the longest window has.
        seed: of the resampling.
        by_time: whether to simulate time-based windows, too.
    """
    bank, others = len(held_out.bank), held_out.others
    # Windows of more than a quarter of the bank, drawn from half of it, would contain samples twice.
    grid = grid_sizes(max(LEAST_BY_TIME, 2 * step), int(LARGEST_SHARE * (bank // 2)), step) if by_time else ()
    large = [size for size in sizes if others is not None and is_large(size, bank)]
    usual = [size for size in sizes if size not in large]
    rng = np.random.default_rng(seed)
    # NumPy releases the GIL. Each stream has its own generator, so results do not depend on the order of threads.
    with ThreadPoolExecutor(threads) as pool:
        slid = _slide(pool, held_out, layout, usual, grid, step, samples, rng) if usual or grid else None
        short = _stretch(pool, held_out, layout, large, step, samples, rng) if large else None
    nulls = {null.size: null for part in (slid, short) if part for null in part.nulls}
    return SlidingNull(
        {size: nulls[size] for size in sizes},
        step,
        slid.p_values if slid and usual else np.empty((0, 0)),
        bank,
        0 if others is None else int(others[0]),
        NullGrid(slid.nulls[len(usual) :]) if slid and grid else None,
        short.p_values if short else None,
        held_out.memory.block,
    )


@dataclass(frozen=True)
class _Fitted:
    """Fitted nulls, and the smallest p-value of each step of the windows they were fitted to, ``(J, S)``."""

    nulls: tuple[WindowNull, ...]
    p_values: Array


def _slide(
    pool: ThreadPoolExecutor,
    held_out: HeldOut,
    layout: Layout,
    sizes: Sequence[int],
    grid: Sequence[int],
    step: int,
    samples: int,
    rng: np.random.Generator,
) -> _Fitted:
    """Simulate long streams and fit the nulls of `sizes`, followed by those of `grid`."""
    every = [*sizes, *grid]
    drawn = halves(held_out, max(every), samples, rng)
    steps = -(-samples // step // len(drawn))
    widths = [size // step for size in every]
    strides = [1] * len(sizes) + [max(1, steps * len(drawn) // GRID_WINDOWS)] * len(grid)

    def measure(half: Half, rng: np.random.Generator) -> list[Features]:
        """The features of the windows of each size of one stream."""
        part, centre = half
        some = replace(held_out, bank=held_out.bank[part], others=centre)
        chunks = null_panes(some, step, steps + max(widths) - 1, max(every), rng)
        return _measure(sliding_windows(chunks, widths, strides), layout)

    return _fit(pool, list(pool.map(measure, drawn, rng.spawn(len(drawn)))), layout, every, len(sizes), steps)


def _stretch(
    pool: ThreadPoolExecutor,
    held_out: HeldOut,
    layout: Layout,
    sizes: Sequence[int],
    step: int,
    samples: int,
    rng: np.random.Generator,
) -> _Fitted:
    """Simulate short stretches of windows that are large relative to the held-out samples."""
    widths = [size // step for size in sizes]
    count = 2 * max(1, STRETCHES * samples // SIMULATED // SPLITS // 2)

    def measure(rng: np.random.Generator) -> list[Features]:
        """The features of the windows of each size of some stretches."""
        return _measure(stretches(held_out, widths, step, STEPS, count, rng), layout)

    return _fit(pool, list(pool.map(measure, rng.spawn(SPLITS))), layout, sizes, len(sizes), STEPS, large=True)


def _measure(chunks: Iterable[Sequence[Array]], layout: Layout) -> list[Features]:
    measured = [[features(windows, layout) for windows in by_width] for by_width in chunks]
    return [join(parts) for parts in zip(*measured, strict=True)]


def _fit(
    pool: ThreadPoolExecutor,
    streams: Sequence[Sequence[Features]],
    layout: Layout,
    sizes: Sequence[int],
    judged: int,
    steps: int,
    *,
    large: bool = False,
) -> _Fitted:
    """Fit the null of each size to all streams together, and compute p-values of the first `judged` sizes."""
    joined = [join(parts) for parts in zip(*streams, strict=True)]
    fitted = list(pool.map(lambda measured, size: fit_window_null(measured, layout, size, large=large), joined, sizes))
    p_values = list(
        pool.map(lambda null, each: null.judge(each).p_values["combined"], fitted[:judged], joined[:judged])
    )
    return _Fitted(tuple(fitted), np.min(p_values, axis=0).reshape(-1, steps) if p_values else np.empty((0, 0)))
