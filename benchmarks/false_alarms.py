"""Counts of false alarms on fresh reference data, compared with each budget.

Streams are drawn at random from data that the bundle was not trained on. The whole sliding procedure runs over them as
in the daemon, with windows of 50 and 500 every 10 samples.

python -m benchmarks.false_alarms bundles/fashion /usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.sliding import smallest_p_values
from driftwatch.data.readers import open_dataset
from driftwatch.reference.loading import load_reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.rates import episodes
from driftwatch.stats.resample import null_panes
from driftwatch.stats.sequential import Procedure

SIZES, STEP, RESOLVE_AFTER = (50, 500), 10, 3
BUDGETS = (1e3, 1e4, 1e5, 1e6)
SAMPLES = 1_000_000


def fresh_p_values(procedure: Procedure, bank: NDArray[np.float32]) -> NDArray[np.float64]:
    """The smallest p-value of each step of a stream drawn from `bank`, ``(steps,)``."""
    longest = max(SIZES)
    drawn = null_panes(HeldOut(bank), STEP, (SAMPLES + longest) // STEP, longest, np.random.default_rng(77))
    return smallest_p_values(procedure, drawn)


def main() -> None:
    """Print a row per budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    reference = load_reference(options.bundle)
    dataset = open_dataset(options.data)
    samples = next(dataset.chunks(reference.schema, rows=dataset.rows))
    bank = Scorer(reference).bank(samples)
    table = Table("budget: one alarm in", "alarm at p <=", "alarms", "expected", "p of the deviation", box=None)
    p_values: NDArray[np.float64] | None = None
    for budget in BUDGETS:
        procedure = reference.procedure(SIZES, STEP, budget=budget, resolve_after=RESOLVE_AFTER)
        # The windows' p-values are the same for every budget; only the threshold differs.
        p_values = fresh_p_values(procedure, bank) if p_values is None else p_values
        threshold, expected = procedure.control.threshold, SAMPLES / budget
        alarms = episodes(p_values, threshold, RESOLVE_AFTER)
        chance = math.erfc(abs(alarms - expected) / math.sqrt(2 * max(expected, 1.0)))
        table.add_row(f"{budget:,.0f}", f"{threshold:.3g}", str(alarms), f"{expected:,.0f}", f"{chance:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
