"""The views of samples that peers receive: rows of finite numbers, as a user would prepare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.schema import Coerced, Schema, TableSchema

View = Literal["vectors", "columns", "nll"]
"""Vectors ``(N, D)`` on comparable scales; a table's columns, categories as numbers; NLL under our flow, ``(N, 1)``."""

Rows = NDArray[np.float32]
Prepare = Callable[[Coerced], Rows]


def views(schema: Schema, reference: Coerced) -> Mapping[View, Prepare]:
    """How to prepare samples ``(N, *sample_shape)`` for each view; medians and scales come from the reference."""
    if not isinstance(schema, TableSchema):
        return {"vectors": _flat, "columns": _flat}
    medians = np.nan_to_num(np.nanmedian(reference, axis=0))
    spread = np.maximum(np.nanstd(reference, axis=0), 1e-9)

    def columns(samples: Coerced) -> Rows:
        return np.where(np.isnan(samples), np.rint(medians), samples).astype(np.float32)

    def vectors(samples: Coerced) -> Rows:
        filled, parts = columns(samples), []
        for j, column in enumerate(schema.columns):
            if column.kind == "category":
                parts.append(filled[:, j, None] == np.arange(len(column.categories)))
            else:
                parts.append((filled[:, j, None] - medians[j]) / spread[j])
        return np.concatenate(parts, axis=1).astype(np.float32)

    return {"vectors": vectors, "columns": columns}


def categories(schema: Schema) -> list[int]:
    """The indexes of a table's categorical columns."""
    if not isinstance(schema, TableSchema):
        return []
    return [j for j, column in enumerate(schema.columns) if column.kind == "category"]


def _flat(samples: Coerced) -> Rows:
    return samples.reshape(len(samples), -1).astype(np.float32)
