"""False alarms on streams with memory, calibrated as if samples were independent, and calibrated by blocks.

Latents follow an autoregression with a given coefficient; nothing drifts. The whole sliding procedure runs over fresh
streams, with windows of 50 and 500 every 10 samples.

python -m benchmarks.memory 12 [--held-out 200000] [--only 0.9]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.sliding import smallest_p_values
from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.memory import NONE, Memory, measure_memory
from driftwatch.stats.rates import episodes
from driftwatch.stats.sequential import simulate_null
from driftwatch.stats.summary import Array
from tests.gaussian import Gaussian, Latents, fitted, persistent

SHAPES = ((2, 3), (1, 4))
SIZES, STEP, RESOLVE_AFTER = (50, 500), 10, 3
BUDGET = 1e4
HELD_OUT, STREAMS, STREAM = 20_000, 8, 100_000
PERSISTENCES = (0.0, 0.5, 0.9)

Counted = tuple[float, bool]
"""Alarms as a multiple of the budget, and whether the reported interval covers the measured rate."""


def count(reference: Gaussian, bank: NDArray[np.float32], memory: Memory, streams: list[Array], seed: int) -> Counted:
    """Count alarms on fresh streams, given as panes."""
    null = simulate_null(HeldOut(bank, reference.others, memory), reference.layout, SIZES, STEP, seed=seed)
    procedure = null.procedure(BUDGET, RESOLVE_AFTER)
    control, alarms, samples = procedure.control, 0, 0
    for panes in streams:
        p_values = smallest_p_values(procedure, [panes])
        alarms += episodes(p_values, control.threshold, RESOLVE_AFTER)
        samples += len(p_values) * STEP
    low, high = control.interval
    return alarms * BUDGET / samples, low <= samples / max(alarms, 0.5) <= high


def fresh(reference: Gaussian, rng: np.random.Generator, persistence: float) -> Iterator[Array]:
    """Panes of fresh streams."""
    for _ in range(STREAMS):
        each = reference.summaries(persistent(rng, STREAM, SHAPES, persistence))
        yield each.reshape(-1, STEP, each.shape[1]).sum(1)


def _draw(rng: np.random.Generator, persistence: float, count: int) -> Latents:
    return persistent(rng, count, SHAPES, persistence)


def main() -> None:
    """Print a row per strength of memory: alarms as multiples of the budget, over several references."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("references", type=int)
    parser.add_argument("--held-out", type=int, default=HELD_OUT, help="samples in each of the two held-out parts")
    parser.add_argument("--only", type=float, choices=PERSISTENCES)
    options = parser.parse_args()
    columns = ("coefficient", "memory", "as if independent", "by blocks", "median (least to most)")
    table = Table(*columns, "interval covers", box=None)
    for persistence in PERSISTENCES if options.only is None else [options.only]:
        naive, right, memories = [], [], []
        for seed in range(options.references):
            rng = np.random.default_rng(seed)
            make = partial(_draw, rng, persistence)
            reference = fitted(rng, SHAPES, options.held_out, make=make)
            bank = reference.summaries(make(options.held_out)).astype(np.float32)
            found = measure_memory(bank.astype(np.float64)[:, reference.layout.sum_z])
            memories.append(found.tau)
            streams = list(fresh(reference, rng, persistence))
            naive.append(count(reference, bank, NONE, streams, seed))
            right.append(count(reference, bank, found, streams, seed) if found.block > 1 else naive[-1])
        ratios = [ratio for ratio, _ in right]
        table.add_row(
            *(f"{persistence:g}", f"{np.mean(memories):.1f}", _cell([ratio for ratio, _ in naive]), _cell(ratios)),
            f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            f"{sum(held for _, held in right)} of {len(right)}",
        )
    Console(width=140).print(f"alarms as multiples of the budget (one in {BUDGET:,.0f} samples), with standard errors")
    Console(width=140).print(table)


def _cell(ratios: list[float]) -> str:
    return f"{np.mean(ratios):.2f} +- {np.std(ratios, ddof=1) / len(ratios) ** 0.5:.2f}"


if __name__ == "__main__":
    main()
