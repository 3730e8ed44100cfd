"""Which columns of a table moved in a window, and which pairs of them: in words, the surest first.

Values that are missing or unseen come before all that may follow from them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, chdtrc, chdtri

from driftwatch.data.flaws import Flaws
from driftwatch.data.schema import Schema, TableSchema
from driftwatch.flows.features import MISSING_NAME as MISSING
from driftwatch.stats.descriptors import MARGINALS, PAIRS
from driftwatch.stats.hotelling import LOCATION
from driftwatch.stats.summary import Array, Layout

SURE = float(np.log(1e-4))
"""The logarithm of the p-value from which on something is told."""

NOT_SURE = 1.001e-4
"""A p-value a little above that, so that rounding decides nothing when it is looked for quickly."""

MOST_TOLD = 2
TWO = 2
NAMED = 4
"""Of the values of a category, the most that are named."""

LEAST_SHARE = 1e-3
"""That is expected of flaws: a few in a long window are no news."""

OfCategories = Callable[[int, str, Array], str]
"""From a column's place and name, and a window's mean standard vector of marginals, to a phrase; or to nothing."""

Found = tuple[float, tuple[str, ...], str]
"""The logarithm of a corrected p-value (the p-value itself may be too small for a number), columns, and phrase."""


def flawed_columns(flaws: Flaws, n: float, schema: TableSchema, missing: Array, new: Array) -> list[Found]:
    """Columns with more missing or unseen values than the reference has, for `moved_columns` to tell of.

    Args:
        flaws: of a window's values.
        n: samples in the window.
        schema: of a row.
        missing: the share of each column's values that were missing in the reference, ``(columns,)``.
        new: the share of those that were unseen in its held-out samples, ``(columns,)``.
    """
    found: list[Found] = []
    questions = 2 * len(schema.columns)
    for column, usual, usually_new in zip(schema.columns, missing.tolist(), new.tolist(), strict=True):
        if column.name not in flaws:
            continue
        absent, unseen = flaws[column.name]
        if (log_p := _surplus(absent, n, usual, questions)) <= SURE:
            also = (f"{MISSING}{column.name}", f"{MISSING}values")
            phrase = f"{column.name} is missing in {percent(absent / n)} of rows ({percent(usual)} in the reference)"
            found.append((log_p, (column.name, *also), phrase))
        if (log_p := _surplus(unseen, n, usually_new, questions)) <= SURE:
            known = ", ".join(column.categories[:NAMED]) + (", ..." if column.unseen > NAMED else "")
            expected = f"{percent(usually_new)} are usual, " if usually_new else ""
            share = f"{percent(unseen / n)} of rows ({expected}it knows {known})"
            phrase = f"{column.name} has values that the reference never had in {share}"
            found.append((log_p, (column.name,), phrase))
    return found


def unordered_columns(schema: Schema) -> frozenset[str]:
    """Columns of categories; of two, more of the second is a rise."""
    columns = schema.columns if isinstance(schema, TableSchema) else ()
    return frozenset(column.name for column in columns if column.unseen > TWO)


def moved_columns(
    summaries: Array,
    layout: Layout,
    names: Sequence[str],
    flawed: Sequence[Sequence[Found]] | None = None,
    *,
    rests_on: float = math.inf,
    most: int = MOST_TOLD,
    unordered: Collection[str] = (),
    of_categories: OfCategories | None = None,
) -> list[list[str]]:
    """Phrases on what moved in each window, each column in one of them only.

    Each column is asked whether its mean moved and whether its distribution changed, and each pair whether the two go
    together in another way; p-values are corrected for the number of questions (Bonferroni). A column that rose has
    another distribution and other products too: what a shift accounts for is told as a shift only.

    Args:
        summaries: of the windows, ``(M, V)``.
        layout: of the summaries.
        names: of the features of a row, ``D`` of them; nothing is told if there are none.
        flawed: what `flawed_columns` found in each window; nothing if None.
        rests_on: samples that the reference's means are of.
        most: phrases of a window.
        unordered: features that neither rise nor fall, since their values have no order.
        of_categories: what is said of a column's categories, if anything is.
    """
    mean = summaries / summaries[:, :1]
    means = {name: mean[:, place] for (name, _), place in zip(layout.groups, layout.group_slices, strict=True)}
    if not names or LOCATION not in means or means[LOCATION].shape[1] != len(names):
        return [[] for _ in summaries]
    # The difference of two means varies by 1 / n and by 1 / rests_on.
    n = summaries[:, :1] / (1.0 + summaries[:, :1] / rests_on)
    # Features are standard normal one by one, and this group is scaled by the length of all of them.
    shifts = means[LOCATION] * np.sqrt(len(names))
    shifted = _sure(n * np.square(shifts), 1)
    changed, related = _no_answers(summaries), _no_answers(summaries)
    if MARGINALS in means:
        shares = means[MARGINALS].reshape(len(summaries), len(names), -1)
        changed = _sure(n * np.square(shares).sum(2), shares.shape[2])
    # Those of long vectors are of projected values, which have no names.
    named = PAIRS in means and means[PAIRS].shape[1] == len(names) * (len(names) + 1) // 2
    if named:
        # Columns that move by that many standard deviations change no mean product by more than its square.
        largest = [max((abs(shifts[m, i]) for i, _ in some), default=0.0) for m, some in enumerate(shifted)]
        beyond = np.abs(means[PAIRS]) - np.square(largest)[:, None]
        related = _sure(n * np.square(np.maximum(beyond, 0.0)), 1)
    told = []
    for m, (shift, change, relation) in enumerate(zip(shifted, changed, related, strict=True)):

        def named(i: int, m: int = m) -> str:
            """What is said of a column's categories, however it moved."""
            return of_categories(i, names[i], means[MARGINALS][m]) if of_categories and MARGINALS in means else ""

        found = [
            _changed(names[i], log_p, named(i))
            if names[i] in unordered
            else _shifted(names[i], shifts[m, i], log_p, named(i))
            for i, log_p in shift
        ]
        moved = [i for i, _ in shift]
        # Marginals are whitened together, so a column that moved shows a little in those that go with it.
        surest = min((log_p for _, log_p in shift), default=SURE)
        found += [_changed(names[i], log_p, named(i)) for i, log_p in change if log_p <= surest and i not in moved]
        found += [_related(names, pair, log_p) for pair, log_p in relation]
        # Flaws first, since all else may follow from them.
        told.append(_phrases([*sorted(flawed[m] if flawed else ()), *sorted(found)], most))
    return told


def _surplus(count: int, n: float, usual: float, questions: int) -> float:
    """The logarithm of the chance of so many among `n` at the usual share, corrected."""
    share = max(usual, LEAST_SHARE)
    if count <= n * share:  # as is mostly so, and no news
        return 0.0
    return _log_chance(count, n, share, questions)


@lru_cache(maxsize=4096)
def _log_chance(count: int, n: float, share: float, questions: int) -> float:
    """Kept, since windows of one size ask about the same few counts again and again, and one takes ten microseconds."""
    with np.errstate(divide="ignore"):
        return float(np.log(bdtrc(count - 1, n, share)) + np.log(questions))


def percent(share: float) -> str:
    """A share for people, to two digits where it is small.

    >>> percent(0.0321), percent(0.999)
    ('3.2 %', '100 %')
    """
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _sure(squares: Array, freedom: int) -> list[list[tuple[int, float]]]:
    """Of each window the questions that are surely answered by yes, each with its log p-value, corrected.

    Args:
        squares: chi-squared statistics, ``(M, Q)``.
        freedom: of each.
    """
    questions = squares.shape[1]
    # Hardly any window asks for a p-value, and one takes a microsecond.
    found = np.nonzero(squares >= chdtri(freedom, NOT_SURE / questions))
    with np.errstate(divide="ignore"):
        log_ps = np.log(chdtrc(freedom, squares[found])) + np.log(questions)
    answers = _no_answers(squares)
    for m, question, log_p in zip(*(each.tolist() for each in (*found, log_ps)), strict=True):
        if log_p <= SURE:
            answers[m].append((question, log_p))
    return answers


def _no_answers(windows: Array) -> list[list[tuple[int, float]]]:
    return [[] for _ in windows]


@cache
def _pairs(features: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Both features of each pair, as products of them are numbered."""
    return np.triu_indices(features)


def _phrases(found: Sequence[Found], most: int) -> list[str]:
    phrases: list[str] = []
    told: set[str] = set()
    for _, columns, phrase in found:
        if len(phrases) < most and not told & set(columns):
            told |= set(columns)
            phrases.append(phrase)
    return phrases


def _shifted(name: str, moved: float, log_p: float, named: str) -> Found:
    size = f"{abs(moved):.2g}"
    phrase = f"{name} {'rose' if moved > 0 else 'fell'} by {size} standard deviation{'' if size == '1' else 's'}"
    return log_p, (name,), _share(name) or named or phrase


def _changed(name: str, log_p: float, named: str) -> Found:
    return log_p, (name,), _share(name) or named or f"the distribution of {name} changed"


def _related(names: Sequence[str], pair: int, log_p: float) -> Found:
    one, other = (names[features[pair]] for features in _pairs(len(names)))
    alone = _share(one) or f"the spread of {one} changed"
    return log_p, (one, other), alone if one == other else f"{one} and {other} go together in another way"


def _share(name: str) -> str:
    """What is said of a feature that tells whether a value is missing; nothing of others."""
    return f"the share of rows with {name} changed" if name.startswith(MISSING) else ""
