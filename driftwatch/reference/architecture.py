"""The untrained flow that fits samples of a schema."""

from __future__ import annotations

from driftwatch.data.schema import ImageSchema, Samples, Schema
from driftwatch.flows.base import Flow
from driftwatch.flows.image import ImageFlow
from driftwatch.reference.train_config import FlowConfig


def new_flow(size: FlowConfig, schema: Schema, samples: Samples) -> Flow:
    """An untrained flow.

    Args:
        size: of the flow.
        schema: of one sample.
        samples: by which the features of a table or of vectors are fitted, ``(N, *schema.shape)``.

    Raises:
        TrainingError: the flow does not suit such samples.
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
    raise AssertionError
