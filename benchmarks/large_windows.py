"""P-values of drift-free windows smaller and larger than the held-out samples: they should be uniform.

There are several references, each with 5,000 + 5,000 held-out samples. Windows of one reference share its error, so
standard errors are computed between references.

python -m benchmarks.large_windows 24 [--only log-normal]
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.sequential import simulate_null
from driftwatch.stats.summary import Array
from tests.gaussian import draw, fitted

SIZES, STEP = (500, 5_000, 50_000), 10
HELD_OUT, FRESH, PART = 5_000, 300_000, 500
KINDS = {"normal": (((4, 2),), 0.0), "log-normal": (((2, 3), (1, 4)), 0.5), "128 dimensions": (((32, 4),), 0.0)}
DETECTORS = ("combined", "geometry")
MOST = 60
"""The most windows of one size per reference."""


def measure(seed: int, kind: str) -> dict[tuple[int, str], Array]:
    """P-values of the windows, by size and detector."""
    shapes, skew = KINDS[kind]
    rng = np.random.default_rng([seed, len(shapes), bool(skew)])
    reference = fitted(rng, shapes, HELD_OUT, skew=skew)
    bank = reference.summaries(draw(rng, HELD_OUT, shapes, skew=skew)).astype(np.float32)
    parts = [reference.summaries(draw(rng, PART, shapes, skew=skew)).sum(0) for _ in range(FRESH // PART)]
    found: dict[tuple[int, str], Array] = {}
    null = simulate_null(HeldOut(bank, reference.others), reference.layout, SIZES, STEP, seed=seed)
    for size in SIZES:
        windows = np.stack(parts).reshape(FRESH // size, size // PART, -1).sum(1)[:MOST]
        tested = null.nulls[size].test(windows).p_values
        found |= {(size, name): tested[name] for name in DETECTORS}
    return found


def main() -> None:
    """Print a row per kind of data, window size and detector."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("references", type=int)
    parser.add_argument("--only", choices=KINDS)
    options = parser.parse_args()
    table = Table("data", "n", "detector", "mean", "median", "p < 0.1", "p < 0.01", "p > 0.9", "least", box=None)
    for kind in [options.only] if options.only else KINDS:
        measured = [measure(seed, kind) for seed in range(options.references)]
        for size, name in measured[0]:
            found = np.stack([each[size, name] for each in measured])
            shares = [_cell(100.0 * each, "%") for each in (found < 0.1, found < 0.01, found > 0.9)]
            row = (_cell(found, ""), f"{np.median(found):.2f}", *shares, f"{found.min():.1g}")
            table.add_row(kind, f"{size:,}", name, *row)
    Console(width=140).print(table)


def _cell(values: NDArray[np.floating], unit: str) -> str:
    """The mean of values ``(J, M)`` and its standard error between the J references."""
    error = values.mean(1).std(ddof=1) / len(values) ** 0.5
    return f"{values.mean():.2f} +- {error:.2f}" if not unit else f"{values.mean():.1f} +- {error:.1f} {unit}"


if __name__ == "__main__":
    main()
