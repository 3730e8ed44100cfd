"""The cost of combining statistics: how far the best rule falls short of the one part that sees a shift.

One of several independent parts, all normal under the null, is shifted by an amount given as its own AUROC; which part
is unknown. In the worst case, no rule is better than the likelihood ratio averaged over the parts. "Ours" is the length
of the vector of surprises, as in `driftwatch.stats.combination`.

python -m benchmarks.joining
"""

from __future__ import annotations

import argparse

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
    """How far the AUROC of the best rule and of our rule fall short of the AUROC of the shifted part alone.

    Args:
        parts: number of parts that are combined.
        alone: AUROC of the shifted part.
        rng: generator of the draws.
        draws: number of windows on each side.
    """
    shift = 2**0.5 * float(ndtri(alone))
    plain, moved = rng.standard_normal((2, draws, parts))
    moved[:, 0] += shift
    averaged = [logsumexp(shift * values, axis=1) for values in (plain, moved)]
    surprises = [np.sqrt(np.square(log_ndtr(-values)).sum(1)) for values in (plain, moved)]
    return alone - auroc(*averaged), alone - auroc(*surprises)


def main() -> None:
    """Print the losses in points of AUROC."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rng = np.random.default_rng(0)
    table = Table("one part alone", *(f"{count} parts: best (ours)" for count in PARTS), title="Points of AUROC lost")
    for alone in ALONE:
        lost: list[Array] = [100 * np.array(losses(count, alone / 100, rng)) for count in PARTS]
        table.add_row(str(alone), *(f"{best:.1f} ({ours:.1f})" for best, ours in lost))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
