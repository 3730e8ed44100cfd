"""Counts the missing values and unseen categories of each column of a table.

Such values change the features of their row, but a window's sums no longer show which column they came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.schema import Coerced, Schema, TableSchema

Flaws = Mapping[str, tuple[int, int]]
"""The number of missing values and of unseen categories by column; columns without any are left out."""


class FlawCounter:
    """Counts the flaws of rows.

    Args:
        schema: the schema of a sample; samples other than rows have no flaws.
    """

    def __init__(self, schema: Schema) -> None:
        columns = schema.columns if isinstance(schema, TableSchema) else ()
        self._names = [column.name for column in columns]
        self._unseen = np.array([each.unseen if each.kind == "category" else np.inf for each in columns])

    def __call__(self, rows: Coerced) -> Flaws:
        """The flaws of coerced rows ``(N, columns)``."""
        (flaws,) = self.of_runs(rows, [len(rows)])
        return flaws

    def of_runs(self, rows: Coerced, ends: Sequence[int]) -> list[Flaws]:
        """The flaws of consecutive runs of rows, given by their ends."""
        found: list[dict[str, tuple[int, int]]] = [{} for _ in ends]
        if not self._names:
            return list(found)
        missing, unseen = (_by_run(flaw, ends) for flaw in (np.isnan(rows), rows == self._unseen))
        for run, j in np.argwhere(missing + unseen).tolist():
            found[run][self._names[j]] = int(missing[run, j]), int(unseen[run, j])
        return list(found)


def unseen_shares(rows: Coerced, schema: Schema) -> NDArray[np.float64]:
    """The share of unseen categories in each column, ``(columns,)``; empty if samples are not rows."""
    if not isinstance(schema, TableSchema):
        return np.empty(0)
    found = FlawCounter(schema)(rows)
    counts = [found.get(column.name, (0, 0))[1] for column in schema.columns]
    return np.array(counts, dtype=np.float64) / max(1, len(rows))


def _by_run(flaw: NDArray[np.bool_], ends: Sequence[int]) -> NDArray[np.int64]:
    """The number of rows with a flaw, by run and column."""
    so_far = np.zeros((len(flaw) + 1, flaw.shape[1]), dtype=np.int64)
    np.cumsum(flaw, axis=0, out=so_far[1:])
    counts: NDArray[np.int64] = np.diff(so_far[[0, *ends]], axis=0)
    return counts


def add_flaws(each: Iterable[Flaws]) -> Flaws:
    """The flaws of several runs of rows together.

    >>> add_flaws([{"age": (2, 0)}, {"age": (1, 0), "town": (0, 3)}])
    {'age': (3, 0), 'town': (0, 3)}
    """
    total: dict[str, tuple[int, int]] = {}
    for flaws in each:
        for name, (missing, unseen) in flaws.items():
            before = total.get(name, (0, 0))
            total[name] = before[0] + missing, before[1] + unseen
    return total
