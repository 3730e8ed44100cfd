"""Values of a table that are missing, or a category that was never seen, counted by column.

Such a value shows in the features of its row, but a window's sums do not tell any more whose it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

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
        self._unseen = np.array([len(each.categories) if each.kind == "category" else np.inf for each in columns])

    def __call__(self, rows: Coerced) -> Flaws:
        """Of coerced rows ``(N, columns)``."""
        if not self._names:
            return {}
        missing, unseen = np.isnan(rows).sum(0), (rows == self._unseen).sum(0)
        return {self._names[j]: (int(missing[j]), int(unseen[j])) for j in np.flatnonzero(missing + unseen)}


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
