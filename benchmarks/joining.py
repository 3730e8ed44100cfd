"""What joining costs: how far the best rule stays under the one part that sees a shift, where the others are blind.

Of some independent parts, normal under the null, one is shifted, by as much as its own AUROC says, nobody knows which.
No rule is better in the worst of those cases than the likelihood ratio averaged over them; "ours" is the length of the
vector of surprises, as `driftwatch.stats.combination` has it.

python -m benchmarks.joining
"""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.special import log_ndtr, logsumexp, ndtri

from driftwatch.reference.evaluation import auroc
from driftwatch.stats.summary import Array

PARTS = (2, 3, 4, 5, 6, 9)
ALONE = (60, 70, 80, 90, 95, 99)
DRAWS = 400_000


def losses(parts: int, alone: float, rng: np.random.Generator, draws: int = DRAWS) -> tuple[float, float]:
    """By how much the AUROC of the best rule, and that of ours, is under that of the part alone.

    Args:
        parts: how many are joined.
        alone: AUROC of the one that is shifted.
        rng: of the draws.
        draws: of windows, on each side.
    """
    shift = 2**0.5 * float(ndtri(alone))
    plain, moved = rng.standard_normal((2, draws, parts))
    moved[:, 0] += shift
    averaged = [logsumexp(shift * values, axis=1) for values in (plain, moved)]
    surprises = [np.sqrt(np.square(log_ndtr(-values)).sum(1)) for values in (plain, moved)]
    return alone - auroc(*averaged), alone - auroc(*surprises)


def main() -> None:
    """Prints points of AUROC."""
    rng = np.random.default_rng(0)
    told = Table("one part alone", *(f"{count} parts: best (ours)" for count in PARTS), title="Points of AUROC lost")
    for alone in ALONE:
        lost: list[Array] = [100 * np.array(losses(count, alone / 100, rng)) for count in PARTS]
        told.add_row(str(alone), *(f"{best:.1f} ({ours:.1f})" for best, ours in lost))
    Console(width=160).print(told)


if __name__ == "__main__":
    main()
