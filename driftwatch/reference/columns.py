"""Which columns of a table moved in a window, and which pairs of them: in words, the surest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.stats import chi2

from driftwatch.flows.features import MISSING_NAME as MISSING
from driftwatch.stats.descriptors import BINS, MARGINALS, PAIRS
from driftwatch.stats.hotelling import LOCATION
from driftwatch.stats.summary import Array, Layout

SURE = 1e-4
MOST_TOLD = 2


def moved_columns(summary: Array, layout: Layout, names: Sequence[str]) -> list[str]:
    """Phrases on what moved, at most `MOST_TOLD`, each column in one of them only.

    Each column is asked whether its mean moved and whether its distribution changed, and each pair whether the two go
    together in another way; p-values are corrected for the number of questions (Bonferroni).

    Args:
        summary: of the window, ``(V,)``.
        layout: of the summary.
        names: of the features of a row, ``D`` of them; nothing is told if there are none.
    """
    if not names:
        return []
    n = float(summary[0])
    means = {name: summary[place] / n for (name, _), place in zip(layout.groups, layout.group_slices, strict=True)}
    if len(means.get(LOCATION, ())) != len(names):
        return []
    found = sorted([*_means(means[LOCATION], n, names), *_marginals(means, n, names), *_pairs(means, n, names)])
    phrases: list[str] = []
    told: set[str] = set()
    for p_value, columns, phrase in found:
        if p_value > SURE or len(phrases) == MOST_TOLD:
            break
        if not told & set(columns):
            told |= set(columns)
            phrases.append(phrase)
    return phrases


Found = tuple[float, tuple[str, ...], str]


def _means(mean: Array, n: float, names: Sequence[str]) -> Iterator[Found]:
    # Features are standard normal one by one, and this group is scaled by the length of all of them.
    shift = mean * np.sqrt(len(names))
    for name, moved, p in zip(names, shift, chi2.sf(n * np.square(shift), 1), strict=True):
        word = "rose" if moved > 0 else "fell"
        phrase = f"{name} {word} by {abs(moved):.2g} standard deviations"
        yield len(names) * float(p), (name,), _share(name) or phrase


def _marginals(means: dict[str, Array], n: float, names: Sequence[str]) -> Iterator[Found]:
    if MARGINALS not in means:
        return
    squares = n * np.square(means[MARGINALS].reshape(len(names), BINS - 1)).sum(1)
    for name, p in zip(names, chi2.sf(squares, BINS - 1), strict=True):
        yield len(names) * float(p), (name,), _share(name) or f"the distribution of {name} changed"


def _pairs(means: dict[str, Array], n: float, names: Sequence[str]) -> Iterator[Found]:
    rows, others = np.triu_indices(len(names))
    if len(means.get(PAIRS, ())) != len(rows):
        return
    for i, j, p in zip(rows.tolist(), others.tolist(), chi2.sf(n * np.square(means[PAIRS]), 1), strict=True):
        one, other = names[i], names[j]
        alone = _share(one) or f"the spread of {one} changed"
        together = f"{one} and {other} go together in another way"
        yield len(rows) * float(p), (one, other), alone if i == j else together


def _share(name: str) -> str:
    """What is said of a feature that tells whether a value is missing; nothing of others."""
    return f"the share of rows with {name} changed" if name.startswith(MISSING) else ""
