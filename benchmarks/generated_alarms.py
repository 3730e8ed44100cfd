"""Counts of false alarms on generated data, of which there is no limit, for several references of one kind.

Each reference has 5,000 + 5,000 held-out samples by default, and a stream of four million samples: a million fresh
samples in panes of ten, in four orders. The spread between references is the error to expect of a single reference.

python -m benchmarks.generated_alarms 14 [--fresh 400000] [--held-out 20000] [--only log-normal] [--windows 500,5000]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.sliding import smallest_p_values
from driftwatch.stats.control import Control
from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.rates import episodes
from driftwatch.stats.sequential import Procedure, simulate_null
from driftwatch.stats.summary import Array
from tests.gaussian import Gaussian, draw, fitted

SHAPES, STEP, RESOLVE_AFTER = ((2, 3), (1, 4)), 10, 3
FRESH, ORDERS, CHUNK = 1_000_000, 4, 2_000
BUDGETS = (1e3, 1e4, 1e5, 1e6)
KINDS = {"normal": 0.0, "log-normal": 0.5}
WINDOWS = ((50, 500), (10, 100))


def fresh_p_values(procedure: Procedure, pool: Array, rng: np.random.Generator) -> Array:
    """The smallest p-value of each step of a stream of the panes in `pool`, ``(steps,)``."""
    stream = np.concatenate([np.arange(len(pool)), *(rng.permutation(len(pool)) for _ in range(ORDERS - 1))])
    return smallest_p_values(procedure, (pool[stream[i : i + CHUNK]] for i in range(0, len(stream), CHUNK)))


def measure(
    seed: int, kind: str, held_out: int, fresh: int, windows: Sequence[tuple[int, ...]]
) -> dict[tuple[int, ...], list[tuple[float, bool]]]:
    """For each set of windows and budget: alarms over expected alarms, and whether the interval covers the rate."""
    skew = KINDS[kind]
    rng = np.random.default_rng([seed, bool(skew)])
    reference = fitted(rng, SHAPES, held_out, skew=skew)
    bank = reference.summaries(draw(rng, held_out, SHAPES, skew=skew)).astype(np.float32)
    pool = np.concatenate([_panes(reference, rng, skew) for _ in range(fresh // CHUNK)])
    rows: dict[tuple[int, ...], list[tuple[float, bool]]] = {}
    for sizes in windows:
        null = simulate_null(HeldOut(bank, reference.others), reference.layout, sizes, STEP, seed=seed)
        procedures = [null.procedure(budget, RESOLVE_AFTER) for budget in BUDGETS]
        p_values = fresh_p_values(procedures[0], pool, rng)
        rows[sizes] = [_held_against(each.control, p_values) for each in procedures]
    return rows


def _panes(reference: Gaussian, rng: np.random.Generator, skew: float) -> Array:
    each = reference.summaries(draw(rng, CHUNK, SHAPES, skew=skew))
    return np.asarray(each.reshape(-1, STEP, each.shape[1]).sum(1))


def _held_against(control: Control, p_values: Array) -> tuple[float, bool]:
    alarms, samples = episodes(p_values, control.threshold, RESOLVE_AFTER), len(p_values) * STEP
    low, high = control.interval
    return alarms * control.budget / samples, low <= samples / max(alarms, 0.5) <= high


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def main() -> None:
    """Print a row per kind of data, windows and budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("references", type=int)
    parser.add_argument("--held-out", type=int, default=5_000, help="samples in each of the two held-out parts")
    parser.add_argument("--fresh", type=int, default=FRESH, help="fresh samples drawn for the stream")
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--windows", type=_sizes, action="append", help="window sizes that are tested together")
    options = parser.parse_args()
    windows = options.windows or WINDOWS
    references = options.references
    table = Table("data", "windows", "budget: one alarm in", "alarms / expected", "spread", "interval covers", box=None)
    for kind in [options.only] if options.only else KINDS:
        measured = [measure(seed, kind, options.held_out, options.fresh, windows) for seed in range(references)]
        for sizes in windows:
            for column, budget in enumerate(BUDGETS):
                ratios, held = (np.array(each) for each in zip(*(m[sizes][column] for m in measured), strict=True))
                error, spread = ratios.std(ddof=1) / references**0.5, ratios.std(ddof=1)
                rate = f"{ratios.mean():.2f} +- {error:.2f}"
                holds = f"{held.sum()} of {references}"
                table.add_row(kind, ", ".join(map(str, sizes)), f"{budget:,.0f}", rate, f"{spread:.2f}", holds)
    Console().print(table)


if __name__ == "__main__":
    main()
