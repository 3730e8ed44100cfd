"""One shift in windows of 50 to 50,000 samples: p-values fall as windows grow; the effect and its interval do not.

Without arguments the data are generated, with shifts of a known size: normal values in eight columns, a tenth of the
windows against each of ten references of 5,000 + 5,000 held-out samples. With arguments (a bundle, fresh data, and the
same data shifted row by row), windows are drawn from the second half of the shifted data, without repeating a sample in
a window. Sizes beyond that half are left out, and the largest windows share most of their samples.

python -m benchmarks.effect
python -m benchmarks.effect bundles/flights out/flights-data/test.csv out/flights-data/delay-3-minutes.csv
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import brentq
from scipy.special import kolmogorov

from driftwatch.data.readers import open_dataset
from driftwatch.reference.baselines import KolmogorovSmirnov
from driftwatch.reference.loading import load_reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.interval import effect_interval
from driftwatch.stats.sequential import Procedure, simulate_null
from driftwatch.stats.summary import Array, Layout, merge
from tests.gaussian import Gaussian, Latents, draw, fitted

SIZES, STEP, RESOLVE_AFTER, BUDGET = (50, 500, 5_000, 50_000), 10, 3, 1e6
LEAST_EFFECT = 0.05
"""Nats per sample, as a user might set ``alerts.min_effect``."""

HELD_OUT, BLOCKS, COLUMNS = 5_000, ((4, 2),), 8
REFERENCES, WINDOWS = 10, 100
"""Number of generated references, and of windows of each size over all references."""

Samples = NDArray[np.floating]


@dataclass(frozen=True)
class Drawn:
    """The samples of one window: their summaries ``(n, V)``, and the raw samples ``(n, ...)``."""

    summaries: Array
    samples: Samples


@dataclass(frozen=True)
class Found:
    """The results of one window: p-values, whether p alarms, and the effect with its interval in nats per sample."""

    p_value: float
    ks_p_value: float
    sure: bool
    effect: float
    low: float
    high: float


@dataclass(frozen=True)
class Watch:
    """The daemon's procedure, and a Bonferroni-corrected KS test of each column against fresh samples.

    Args:
        procedure: the procedure, calibrated for the sizes in use.
        held_out: number of held-out samples that effects are measured from.
        fresh: samples that KS compares with, ``(N, ...)``.
    """

    procedure: Procedure
    held_out: float
    fresh: Samples

    def __call__(self, size: int, drawn: Drawn) -> Found:
        """Test one window of `size` samples."""
        null = self.procedure.nulls[size]
        panes = drawn.summaries.reshape(-1, STEP, null.layout.size).sum(1, dtype=np.float64)
        p_value = float(null.test(merge(panes)[None]).p_values["combined"][0])
        known = len(self.fresh)
        distance = KolmogorovSmirnov(self.fresh).statistic(drawn.samples)
        of_column = float(kolmogorov(distance * math.sqrt(size * known / (size + known))))
        corrected = min(1.0, drawn.samples[0].size * of_column)
        return Found(
            p_value,
            corrected,
            p_value <= self.procedure.control.threshold,
            *effect_interval(null, panes, self.held_out),
        )


def watch(bank: NDArray[np.float32], layout: Layout, others: Array, fresh: Samples, sizes: Sequence[int]) -> Watch:
    """Calibrate a watch for all `sizes` at once."""
    procedure = simulate_null(HeldOut(bank, others), layout, sizes, STEP).procedure(BUDGET, RESOLVE_AFTER)
    return Watch(procedure, float(others[0]), fresh)


def mean_by(nats: float) -> Callable[[Latents], Latents]:
    """A function that shifts the mean of standard normal values by so many nats."""
    return lambda z: [block + np.float32(math.sqrt(2 * nats / COLUMNS)) for block in z]


def spread_by(nats: float) -> Callable[[Latents], Latents]:
    """A function that widens standard normal values by so many nats."""
    variance = brentq(lambda v: COLUMNS / 2 * (v - 1 - math.log(v)) - nats, 1.0, 100.0)
    return lambda z: [block * np.float32(math.sqrt(variance)) for block in z]


SHIFTS: dict[str, tuple[float, Callable[[Latents], Latents]]] = {
    "none": (0.0, lambda z: z),
    "mean": (0.02, mean_by(0.02)),
    "mean, more": (0.2, mean_by(0.2)),
    "spread": (0.2, spread_by(0.2)),
}


def generated(rng: Generator) -> Iterator[tuple[str, float, int, list[Found]]]:
    """For each shift and size: the shift's name, its size in nats per sample, the window size, and the results."""
    found: dict[tuple[str, int], list[Found]] = {(shift, size): [] for shift in SHIFTS for size in SIZES}
    for _ in range(REFERENCES):
        made: Gaussian = fitted(rng, BLOCKS, n=HELD_OUT)
        known = draw(rng, HELD_OUT, BLOCKS)
        bank = made.summaries(known).astype(np.float32)
        watched = watch(bank, made.layout, made.others, _flat(known), SIZES)
        for (shift, size), results in found.items():
            for _ in range(WINDOWS // REFERENCES):
                z = SHIFTS[shift][1](draw(rng, size, BLOCKS))
                results.append(watched(size, Drawn(made.summaries(z), _flat(z))))
    for (shift, size), results in found.items():
        yield shift, SHIFTS[shift][0], size, results


def real(data: Sequence[Path], rng: Generator) -> Iterator[tuple[str, float, int, list[Found]]]:
    """For each size: the shift's name, nan for its unknown size in nats, the window size, and the results."""
    bundle, fresh, shifted = data
    reference = load_reference(bundle)
    known, moved = (
        next((each := open_dataset(path)).chunks(reference.schema, rows=each.rows)) for path in (fresh, shifted)
    )
    half = len(moved) // 2
    moved = moved[half:]
    summaries = np.concatenate(list(Scorer(reference).summaries(moved)))
    sizes = [size for size in SIZES if size <= len(moved)]
    watched = watch(reference.bank, reference.layout, reference.others, known[: min(half, HELD_OUT)], sizes)
    for size in sizes:
        chosen = [rng.choice(len(moved), size, replace=False) for _ in range(WINDOWS)]
        yield shifted.stem, math.nan, size, [watched(size, Drawn(summaries[i], moved[i])) for i in chosen]


def main() -> None:
    """Print a row per shift and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="*", help="a bundle, fresh data, and the same data shifted")
    data = parser.parse_args().data
    if len(data) not in {0, 3}:
        parser.error("give a bundle and two data sets, or nothing")
    rng = np.random.default_rng(7)
    rows = real(data, rng) if data else generated(rng)
    table = Table(
        *("shift", "nats", "n", "KS p", "p", "alarms", f"alarms, effect >= {LEAST_EFFECT:g}"),
        *("effect", "interval", "covers the truth"),
        box=None,
    )
    for shift, nats, size, found in rows:
        middle = {name: float(np.median([getattr(each, name) for each in found])) for name in vars(found[0])}
        paged = np.mean([each.sure and each.effect >= LEAST_EFFECT for each in found])
        held = "" if math.isnan(nats) else f"{np.mean([each.low <= nats <= each.high for each in found]):.0%}"
        table.add_row(
            *(shift, "" if math.isnan(nats) else f"{nats:g}", f"{size:,}"),
            *(f"{middle['ks_p_value']:.2g}", f"{middle['p_value']:.2g}"),
            *(f"{np.mean([each.sure for each in found]):.0%}", f"{paged:.0%}"),
            *(f"{middle['effect']:.3f}", f"{middle['low']:.3f} to {middle['high']:.3f}", held),
        )
    Console(width=140).print(table)


def _flat(z: Latents) -> Samples:
    return np.concatenate([block.reshape(len(block), -1) for block in z], axis=1)


if __name__ == "__main__":
    main()
