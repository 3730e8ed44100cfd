"""The untrained flow for samples of a schema."""

from __future__ import annotations

import numpy as np

from driftwatch.data.schema import ImageSchema, Samples, Schema, TableSchema
from driftwatch.flows.base import Flow
from driftwatch.flows.features import ColumnKind, FeatureTransform
from driftwatch.flows.image import ImageFlow
from driftwatch.flows.vector import VectorFlow
from driftwatch.reference.train_config import FlowConfig

FEW_VALUES = 128
"""Columns with no more distinct values need no noise: each value has a probability of its own."""


def new_flow(size: FlowConfig, schema: Schema, samples: Samples, *, seed: int = 0) -> Flow:
    """An untrained flow.

    Args:
        size: of the flow.
        schema: of one sample.
        samples: to fit the features of tables or vectors to, ``(N, *schema.shape)``.
        seed: of the noise on integers while features are fitted.

    Raises:
        TrainingError: images are too small for so many scales.
    """
    if isinstance(schema, ImageSchema):
        return ImageFlow(
            schema.channels,
            schema.height,
            schema.width,
            low=schema.low,
            high=schema.high,
            integer=schema.dtype == "uint8",
            scales=size.scales,
            steps=size.steps,
            hidden=size.hidden,
        )
    rows = samples.astype(np.float64)
    if isinstance(schema, TableSchema):
        kinds = [
            _numeric_kind(rows[:, j]) if column.kind == "numeric" else "category"
            for j, column in enumerate(schema.columns)
        ]
        cardinalities = [column.unseen for column in schema.columns]
        features = FeatureTransform.fit(rows, kinds, cardinalities=cardinalities, seed=seed)
    else:
        kind: ColumnKind = "integer" if schema.integer else "numeric"
        features = FeatureTransform.fit(rows, [kind] * schema.dim, missing=False, seed=seed)
    return VectorFlow(features, layers=size.layers, hidden=size.hidden, bins=size.bins)


def _numeric_kind(values: Samples) -> ColumnKind:
    """Columns of many distinct whole numbers count as integers, which get noise."""
    present = values[~np.isnan(values)]
    whole = bool((present == np.rint(present)).all())
    return "integer" if whole and len(np.unique(present)) > FEW_VALUES else "numeric"
