"""Which columns of a table moved in a window, and which pairs of them: in words, the surest first.

Values that are missing or unseen come before all that may follow from them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import bdtrc, chdtrc

from driftwatch.data.flaws import Flaws
from driftwatch.data.schema import TableSchema
from driftwatch.flows.features import MISSING_NAME as MISSING
from driftwatch.stats.descriptors import MARGINALS, PAIRS
from driftwatch.stats.hotelling import LOCATION
from driftwatch.stats.summary import Array, Layout

SURE = float(np.log(1e-4))
"""The logarithm of the p-value from which on something is told."""

MOST_TOLD = 2
NAMED = 4
"""Of the values of a category, the most that are named."""

LEAST_SHARE = 1e-3
"""That is expected of flaws: a few in a long window are no news."""

Found = tuple[float, tuple[str, ...], str]
"""The logarithm of a corrected p-value (the p-value itself may be too small for a number), columns, and phrase."""


def flawed_columns(flaws: Flaws, n: float, schema: TableSchema, missing: Array) -> list[Found]:
    """Columns with more missing or unseen values than the reference has, for `moved_columns` to tell of.

    Args:
        flaws: of a window's values.
        n: samples in the window.
        schema: of a row.
        missing: the share of each column's values that were missing in the reference, ``(columns,)``.
    """
    found: list[Found] = []
    questions = 2 * len(schema.columns)
    for column, usual in zip(schema.columns, missing.tolist(), strict=True):
        absent, unseen = flaws.get(column.name, (0, 0))
        if (log_p := _surplus(absent, n, usual, questions)) <= SURE:
            also = (f"{MISSING}{column.name}", f"{MISSING}values")
            phrase = f"{column.name} is missing in {_percent(absent / n)} of rows ({_percent(usual)} in the reference)"
            found.append((log_p, (column.name, *also), phrase))
        if (log_p := _surplus(unseen, n, 0.0, questions)) <= SURE:
            known = ", ".join(column.categories[:NAMED]) + (", ..." if column.categories[NAMED:] else "")
            share = _percent(unseen / n)
            phrase = f"{column.name} has values that the reference never had in {share} of rows (it knows {known})"
            found.append((log_p, (column.name,), phrase))
    return found


def moved_columns(
    summary: Array,
    layout: Layout,
    names: Sequence[str],
    flawed: Sequence[Found] = (),
    *,
    rests_on: float = math.inf,
) -> list[str]:
    """Phrases on what moved, at most `MOST_TOLD`, each column in one of them only.

    Each column is asked whether its mean moved and whether its distribution changed, and each pair whether the two go
    together in another way; p-values are corrected for the number of questions (Bonferroni). A column that rose has
    another distribution and other products too: what a shift accounts for is told as a shift only.

    Args:
        summary: of the window, ``(V,)``.
        layout: of the summary.
        names: of the features of a row, ``D`` of them; nothing is told if there are none.
        flawed: what `flawed_columns` found.
        rests_on: samples that the reference's means are of.
    """
    if not names:
        return []
    # The difference of two means varies by 1 / n and by 1 / rests_on.
    n = float(summary[0]) / (1.0 + float(summary[0]) / rests_on)
    mean = summary / summary[0]
    means = {name: mean[place] for (name, _), place in zip(layout.groups, layout.group_slices, strict=True)}
    if len(means.get(LOCATION, ())) != len(names):
        return []
    # Features are standard normal one by one, and this group is scaled by the length of all of them.
    shifts = means[LOCATION] * np.sqrt(len(names))
    shifted = [found for found in _shifts(shifts, n, names) if found[0] <= SURE]
    moved = [name for _, (name,), _ in shifted]
    largest = max((abs(shifts[names.index(name)]) for name in moved), default=0.0)
    # Marginals are whitened together, so a column that moved shows a little in those that go with it.
    surest = min((log_p for log_p, *_ in shifted), default=SURE)
    changed = [found for found in _marginals(means, n, names) if found[0] <= surest and found[1][0] not in moved]
    related = [found for found in _pairs(means, n, names, largest) if found[0] <= SURE]
    phrases: list[str] = []
    told: set[str] = set()
    # Flaws first, since all else may follow from them.
    for _, columns, phrase in [*sorted(flawed), *sorted([*shifted, *changed, *related])]:
        if len(phrases) < MOST_TOLD and not told & set(columns):
            told |= set(columns)
            phrases.append(phrase)
    return phrases


def _surplus(count: int, n: float, usual: float, questions: int) -> float:
    """The logarithm of the chance of so many among `n` at the usual share, corrected."""
    share = max(usual, LEAST_SHARE)
    if count <= n * share:  # as is mostly so, and no news
        return 0.0
    with np.errstate(divide="ignore"):
        return float(np.log(bdtrc(count - 1, n, share)) + np.log(questions))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share > 0.1 else f"{100 * share:.2g} %"


def _shifts(shifts: Array, n: float, names: Sequence[str]) -> Iterator[Found]:
    for name, moved, log_p in zip(names, shifts, _log_p(n * np.square(shifts), 1, len(names)), strict=True):
        word = "rose" if moved > 0 else "fell"
        size = f"{abs(moved):.2g}"
        phrase = f"{name} {word} by {size} standard deviation{'' if size == '1' else 's'}"
        yield float(log_p), (name,), _share(name) or phrase


def _marginals(means: dict[str, Array], n: float, names: Sequence[str]) -> Iterator[Found]:
    if MARGINALS not in means:
        return
    shares = means[MARGINALS].reshape(len(names), -1)
    for name, log_p in zip(names, _log_p(n * np.square(shares).sum(1), shares.shape[1], len(names)), strict=True):
        yield float(log_p), (name,), _share(name) or f"the distribution of {name} changed"


def _pairs(means: dict[str, Array], n: float, names: Sequence[str], shift: float) -> Iterator[Found]:
    rows, others = np.triu_indices(len(names))
    if len(means.get(PAIRS, ())) != len(rows):
        return
    # Columns that move by that many standard deviations change no mean product by more than its square.
    beyond = np.maximum(np.abs(means[PAIRS]) - shift**2, 0.0)
    log_ps = _log_p(n * np.square(beyond), 1, len(rows))
    for i, j, log_p in zip(rows.tolist(), others.tolist(), log_ps, strict=True):
        one, other = names[i], names[j]
        alone = _share(one) or f"the spread of {one} changed"
        together = f"{one} and {other} go together in another way"
        yield float(log_p), (one, other), alone if i == j else together


def _log_p(squares: Array, freedom: int, questions: int) -> Array:
    """Of chi-squared statistics, corrected."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(chdtrc(freedom, squares)) + np.log(questions))


def _share(name: str) -> str:
    """What is said of a feature that tells whether a value is missing; nothing of others."""
    return f"the share of rows with {name} changed" if name.startswith(MISSING) else ""
