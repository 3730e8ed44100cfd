"""A sample as human-readable JSON of bounded size: a picture, a row by column name, or a list."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import Image

from driftwatch.data.json_bodies import compact, rows_body
from driftwatch.data.schema import COLOURS, ImageSchema, Schema, TableSchema

MOST_BYTES = 32_768
"""Largest JSON of one sample. An alert has at most sixteen, which fit into a Kafka message of the default size."""


def preview(sample: NDArray[np.floating], schema: Schema) -> Any:
    """A sample as JSON.

    Args:
        sample: of the schema's shape.
        schema: of the sample.

    Returns:
        For an image ``{"media_type": "image/png", "base64": ...}``, halved until it fits; for a row an object by column
        name; for a vector a list of numbers. None if it does not fit into `MOST_BYTES`, or if an image's channels are
        not 1, 3 or 4.
    """
    if isinstance(schema, ImageSchema):
        return _picture(sample, schema)
    found = rows_body(sample[None], schema)[0] if isinstance(schema, TableSchema) else compact(sample, schema).tolist()
    return found if len(orjson.dumps(found)) <= MOST_BYTES else None


def _picture(sample: NDArray[np.floating], schema: ImageSchema) -> dict[str, str] | None:
    if schema.channels not in COLOURS:
        return None
    # Bytes are shown as they are; floats are scaled from the range of the reference.
    levels = sample if schema.dtype == "uint8" else (sample - schema.low) * (255 / (schema.high - schema.low))
    pixels = np.clip(np.rint(levels), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    image = Image.fromarray(pixels[:, :, 0] if schema.channels == 1 else pixels)
    while True:
        written = io.BytesIO()
        image.save(written, "PNG")
        encoded = base64.b64encode(written.getvalue()).decode()
        if len(encoded) <= MOST_BYTES:
            return {"media_type": "image/png", "base64": encoded}
        image = image.reduce(2)
