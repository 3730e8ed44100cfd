"""False alarms on a stream with memory: calibrated as if samples were independent, and by blocks.

Latents follow an autoregression, each so many times the one before; nothing drifts. The whole sliding procedure
runs over fresh streams, windows of 50 and 500 every 10 samples.

python -m benchmarks.memory
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from driftwatch.stats.memory import NONE, measure_memory
from driftwatch.stats.rates import episodes
from driftwatch.stats.sequential import simulate_null
from tests.gaussian import Gaussian, fitted, persistent

SHAPES = ((2, 3), (1, 4))
SIZES, STEP, RESOLVE_AFTER = (50, 500), 10, 3
BUDGET = 1e4
HELD_OUT, STREAMS, STREAM = 20_000, 8, 100_000
REFERENCES = 6


def count(reference: Gaussian, bank: NDArray[np.float32], block: int, persistence: float) -> int:
    """Alarms on fresh streams."""
    null = simulate_null(bank, reference.layout, SIZES, STEP, others=reference.others, block=block)
    procedure = null.procedure(BUDGET, RESOLVE_AFTER)
    alarms = 0
    for seed in range(STREAMS):
        each = reference.summaries(persistent(np.random.default_rng(1_000 + seed), STREAM, SHAPES, persistence))
        panes = each.reshape(-1, STEP, each.shape[1]).sum(1)
        alarms += episodes(procedure.smallest_p_values([panes]), procedure.control.threshold, RESOLVE_AFTER)
    return alarms


def main() -> None:
    """Prints a row for each strength of memory: alarms as shares of what is allowed, over several references."""
    table = Table("each is ... of the last", "memory", "as if independent", "by blocks", box=None)
    allowed = STREAMS * STREAM / BUDGET
    for persistence in (0.0, 0.5, 0.9):
        naive, right, memories = [], [], []
        for seed in range(REFERENCES):
            rng = np.random.default_rng(seed)
            make = lambda n, p=persistence, r=rng: persistent(r, n, SHAPES, p)  # noqa: E731
            reference = fitted(rng, SHAPES, HELD_OUT, make=make)
            bank = reference.summaries(make(HELD_OUT)).astype(np.float32)
            found = measure_memory(bank.astype(np.float64)[:, reference.layout.sum_z])
            memories.append(found.tau)
            naive.append(count(reference, bank, NONE.block, persistence) / allowed)
            right.append(count(reference, bank, found.block, persistence) / allowed)
        table.add_row(f"{persistence:g}", f"{np.mean(memories):.1f}", _spread(naive), _spread(right))
    Console().print(f"alarms, times what is allowed (one in {BUDGET:,.0f} samples): median, least and most")
    Console().print(table)


def _spread(ratios: list[float]) -> str:
    return f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    main()
