"""Explanations of drift in tables: the columns, and pairs of columns, that moved in a window, most certain first.

Missing and unseen values come before everything else, since the rest may follow from them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, chdtrc, chdtri

from driftwatch.data.flaws import Flaws
from driftwatch.data.schema import Schema, TableSchema
from driftwatch.flows.features import MISSING_NAME as MISSING
from driftwatch.reference.shifts import Shifts
from driftwatch.stats.descriptors import MARGINALS, PAIRS
from driftwatch.stats.hotelling import LOCATION
from driftwatch.stats.summary import Array, Layout

SURE = float(np.log(1e-4))
"""Log p-value up to which a finding is reported."""

NOT_SURE = 1.001e-4
"""A slightly larger p-value, so that the fast preselection never decides by rounding."""

MOST_TOLD = 2
TWO = 2
RATHER = 2
"""A column's spread or distribution is told of, not its shift, if its log p-value is so many times as low."""

NAMED = 4
"""The most known categories that are named."""

LEAST_SHARE = 1e-3
"""Least expected share of flaws, so that a few in a long window are not reported."""

OfCategories = Callable[[int, str, Array], str]
"""Maps a column's index and name, and a window's mean standard vector of marginals, to a phrase or an empty text."""


@dataclass(frozen=True)
class RowFeatures:
    """The features of a reference's rows, with what is needed to say how they moved.

    Args:
        names: of the ``D`` features.
        unordered: those that neither rise nor fall, since their values have no order.
        of_categories: makes the phrase about a column's categories; None for no such phrases.
        shifts: tells what shifts do to products and distributions of correlated features.
    """

    names: Sequence[str]
    unordered: Collection[str]
    of_categories: OfCategories | None
    shifts: Shifts


Found = tuple[float, tuple[str, ...], str]
"""Log of a corrected p-value (the p-value itself may underflow), columns, and phrase."""


def flawed_columns(flaws: Flaws, n: float, schema: TableSchema, missing: Array, new: Array) -> list[Found]:
    """Find columns with more missing or unseen values than in the reference, as input of `moved_columns`.

    Args:
        flaws: missing and unseen values in a window.
        n: samples in the window.
        schema: of a row.
        missing: share of each column's values that are missing in the reference, ``(columns,)``.
        new: share of each column's values that are unseen in its held-out samples, ``(columns,)``.
    """
    found: list[Found] = []
    tests = 2 * len(schema.columns)
    for column, usual, usually_new in zip(schema.columns, missing.tolist(), new.tolist(), strict=True):
        if column.name not in flaws:
            continue
        absent, unseen = flaws[column.name]
        if (log_p := _surplus(absent, n, usual, tests)) <= SURE:
            also = (f"{MISSING}{column.name}", f"{MISSING}values")
            phrase = f"{column.name} is missing in {percent(absent / n)} of rows ({percent(usual)} in the reference)"
            found.append((log_p, (column.name, *also), phrase))
        if (log_p := _surplus(unseen, n, usually_new, tests)) <= SURE:
            known = ", ".join(column.categories[:NAMED]) + (", ..." if column.unseen > NAMED else "")
            expected = f"{percent(usually_new)} are usual, " if usually_new else ""
            share = f"{percent(unseen / n)} of rows ({expected}it knows {known})"
            phrase = f"{column.name} has values that the reference never had in {share}"
            found.append((log_p, (column.name,), phrase))
    return found


def unordered_columns(schema: Schema) -> frozenset[str]:
    """Columns with more than two categories; of two, a larger share of the second counts as a rise."""
    columns = schema.columns if isinstance(schema, TableSchema) else ()
    return frozenset(column.name for column in columns if column.unseen > TWO)


def moved_columns(
    summaries: Array,
    layout: Layout,
    features: RowFeatures | None,
    flawed: Sequence[Sequence[Found]] | None = None,
    *,
    rests_on: float = math.inf,
    most: int = MOST_TOLD,
) -> list[list[str]]:
    """Phrases about what moved in each window, naming each column at most once.

    Tests, for each column, whether its mean moved and whether its distribution changed, and for each pair whether their
    relation changed; p-values are corrected for the number of tests (Bonferroni). A column that rose has another
    distribution and other products, too: what a shift accounts for is reported as a shift only. While only a part of a
    window is shifted, as when a drift begins, the spread is larger, too. So a column's shift is reported instead of its
    spread or distribution, unless these are much more certain (as in another unit).

    Args:
        summaries: of the windows, ``(M, V)``.
        layout: of the summaries.
        features: of a row; None if samples have no named features, for which there are no phrases.
        flawed: findings of `flawed_columns` for each window; none if None.
        rests_on: number of samples behind the reference's means.
        most: phrases per window.
    """
    if features is None or dict(layout.groups).get(LOCATION) != len(features.names):
        return [[] for _ in summaries]
    names, of_categories = features.names, features.of_categories
    places = zip(layout.groups, layout.group_slices, strict=True)
    means = {name: summaries[:, place] / summaries[:, :1] for (name, _), place in places}
    # The variance of the difference of two means is the sum of 1 / n and 1 / rests_on.
    n = summaries[:, :1] / (1.0 + summaries[:, :1] / rests_on)
    # Each feature is standard normal, and the vector of all of them is scaled to mean squared length 1.
    shifts = means[LOCATION] * np.sqrt(len(names))
    shifted = _sure(n * np.square(shifts), 1)
    moved = np.zeros_like(shifts)
    for m, some in enumerate(shifted):
        for i, _ in some:
            moved[m, i] = shifts[m, i]
    drifts = np.flatnonzero(moved.any(1))
    changed, related = _none_for(summaries), _none_for(summaries)
    if MARGINALS in means:
        shares = means[MARGINALS].copy()
        if len(drifts):
            shares[drifts] = features.shifts.beyond_shares(moved[drifts], shares[drifts])
        shares = shares.reshape(len(summaries), len(names), -1)
        changed = _sure(n * np.square(shares).sum(2), shares.shape[2])
    # Pairs of long vectors are of projected values, which have no names.
    if PAIRS in means and means[PAIRS].shape[1] == len(names) * (len(names) + 1) // 2:
        products = means[PAIRS].copy()
        if len(drifts):
            products[drifts] = features.shifts.beyond_products(moved[drifts], products[drifts])
        # Columns that moved by so many standard deviations change a mean product by at most its square, and by as much
        # again where only half of the window moved.
        beyond = np.abs(products) - np.square(np.abs(moved).max(1))[:, None]
        related = _sure(n * np.square(np.maximum(beyond, 0.0)), 1)
    phrases = []
    for m, (shift, change, relation) in enumerate(zip(shifted, changed, related, strict=True)):

        def categories(i: int, m: int = m) -> str:
            """The phrase about a column's categories; empty if there is none."""
            return of_categories(i, names[i], means[MARGINALS][m]) if of_categories and MARGINALS in means else ""

        found = [
            _changed(names[i], log_p, categories(i))
            if names[i] in features.unordered
            else _shifted(names[i], shifts[m, i], log_p, categories(i))
            for i, log_p in shift
        ]
        by_shift = dict(shift)
        # Marginals are whitened together, so a column that moved also shows slightly in correlated columns.
        surest = min((log_p for _, log_p in shift), default=SURE)
        found += [
            _changed(names[i], log_p, categories(i))
            for i, log_p in change
            if log_p <= (RATHER * by_shift[i] if i in by_shift else surest)
        ]
        for pair, log_p in relation:
            one, other = (int(features[pair]) for features in _pairs(len(names)))
            if one != other or log_p <= RATHER * by_shift.get(one, 0.0):
                found.append(_related(names[one], names[other], log_p))
        # Flaws first, since everything else may follow from them.
        phrases.append(_phrases(sorted(flawed[m] if flawed else ()), sorted(found), most))
    return phrases


def _surplus(count: int, n: float, usual: float, tests: int) -> float:
    """The log of the probability of at least `count` among `n` at the usual share, corrected for `tests`."""
    share = max(usual, LEAST_SHARE)
    if count <= n * share:  # almost always the case
        return 0.0
    return _log_chance(count, n, share, tests)


@lru_cache(maxsize=4096)
def _log_chance(count: int, n: float, share: float, tests: int) -> float:
    """Cached, since windows of one size have the same few counts again and again, and a call takes ten microseconds."""
    with np.errstate(divide="ignore"):
        # SciPy deprecates floats as the number of trials.
        return float(np.log(bdtrc(count - 1, int(n), share)) + np.log(tests))


def percent(share: float) -> str:
    """A share in percent, with two digits where it is small.

    >>> percent(0.0321), percent(0.999)
    ('3.2 %', '100 %')
    """
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _sure(squares: Array, freedom: int) -> list[list[tuple[int, float]]]:
    """The significant tests of each window, each with its corrected log p-value.

    Args:
        squares: chi-squared statistics, ``(M, Q)``.
        freedom: degrees of freedom of each.
    """
    tests = squares.shape[1]
    # Few statistics are significant, so p-values, at a microsecond each, are computed only for those that may be.
    found = np.nonzero(squares >= chdtri(freedom, NOT_SURE / tests))
    with np.errstate(divide="ignore"):
        log_ps = np.log(chdtrc(freedom, squares[found])) + np.log(tests)
    significant = _none_for(squares)
    for m, test, log_p in zip(*(each.tolist() for each in (*found, log_ps)), strict=True):
        if log_p <= SURE:
            significant[m].append((test, log_p))
    return significant


def _none_for(windows: Array) -> list[list[tuple[int, float]]]:
    return [[] for _ in windows]


@cache
def _pairs(features: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The two features of each pair, in the order of the products."""
    return np.triu_indices(features)


def _phrases(flawed: Sequence[Found], found: Sequence[Found], most: int) -> list[str]:
    """The phrases of the first findings that name other columns than those before them.

    A flaw is about its first column. The others are indicators in which it shows too, and which columns may share.
    """
    phrases: list[str] = []
    named: set[str] = set()
    for subject, columns, phrase in (
        *((columns[:1], columns, phrase) for _, columns, phrase in flawed),
        *((columns, columns, phrase) for _, columns, phrase in found),
    ):
        if len(phrases) < most and not named & set(subject):
            named |= set(columns)
            phrases.append(phrase)
    return phrases


def _shifted(name: str, moved: float, log_p: float, categories: str) -> Found:
    size = f"{abs(moved):.2g}"
    phrase = f"{name} {'rose' if moved > 0 else 'fell'} by {size} standard deviation{'' if size == '1' else 's'}"
    return log_p, (name,), _share(name) or categories or phrase


def _changed(name: str, log_p: float, categories: str) -> Found:
    return log_p, (name,), _share(name) or categories or f"the distribution of {name} changed"


def _related(one: str, other: str, log_p: float) -> Found:
    alone = _share(one) or f"the spread of {one} changed"
    return log_p, (one, other), alone if one == other else f"the relation between {one} and {other} changed"


def _share(name: str) -> str:
    """The phrase about an indicator of missing values; empty for other features."""
    return f"the share of rows with {name} changed" if name.startswith(MISSING) else ""
