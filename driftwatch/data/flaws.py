"""Values of a table that are missing, or a category that was never seen, counted by column.

Such a value shows in the features of its row, but a window's sums do not tell any more whose it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.schema import Coerced, Schema, TableSchema

Flaws = Mapping[str, tuple[int, int]]
"""By column, those that have any: how many values are missing, and how many are an unseen category."""


class FlawCounter:
    """Counts the flaws of rows.

    Args:
        schema: of a row; samples that are no rows have none.
    """

    def __init__(self, schema: Schema) -> None:
        columns = schema.columns if isinstance(schema, TableSchema) else ()
        self._names = [column.name for column in columns]
        self._unseen = np.array([each.unseen if each.kind == "category" else np.inf for each in columns])

    def __call__(self, rows: Coerced) -> Flaws:
        """Of coerced rows ``(N, columns)``."""
        (flaws,) = self.of_runs(rows, [len(rows)])
        return flaws

    def of_runs(self, rows: Coerced, ends: Sequence[int]) -> list[Flaws]:
        """Of each run of rows, from where the one before it ends."""
        found: list[dict[str, tuple[int, int]]] = [{} for _ in ends]
        if not self._names:
            return list(found)
        missing, unseen = (_by_run(flaw, ends) for flaw in (np.isnan(rows), rows == self._unseen))
        for run, j in np.argwhere(missing + unseen).tolist():
            found[run][self._names[j]] = int(missing[run, j]), int(unseen[run, j])
        return list(found)


def unseen_shares(rows: Coerced, schema: Schema) -> NDArray[np.float64]:
    """The share of each column's values that are an unseen category, ``(columns,)``; of no width for what is no row."""
    if not isinstance(schema, TableSchema):
        return np.empty(0)
    found = FlawCounter(schema)(rows)
    counts = [found.get(column.name, (0, 0))[1] for column in schema.columns]
    return np.array(counts, dtype=np.float64) / max(1, len(rows))


def _by_run(flaw: NDArray[np.bool_], ends: Sequence[int]) -> NDArray[np.int64]:
    """How many rows of each run have a flaw, by column."""
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
