"""Named shifts of reference data, to find out what a reference detects before any real drift happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from driftwatch.data.schema import ImageSchema, Samples, Schema, TableSchema

Corruption = Callable[[Samples, Generator], Samples]

BLUR_PIXELS = 0.7
NOISE, BRIGHTER = 4 / 255, 20 / 255
GAIN, CONTRAST = 0.9, 0.5
MOVED, WIDER = 0.25, 1.25
MISSING = 0.1

DESCRIBED: Mapping[str, str] = {
    "blur": f"Gaussian, of {BLUR_PIXELS:g} pixels",
    "noise": f"standard deviation {NOISE:.3f} of the range",
    "gain": f"values times {GAIN:g}",
    "brightness": f"+{BRIGHTER:.3f} of the range",
    "contrast": f"times {CONTRAST:g}",
    "flip": "upside down, mirrored",
    "rotate90": "a quarter turn",
    "shift": f"all numbers +{MOVED:g} standard deviations",
    "scale": f"all numbers spread times {WIDER:g}",
    "permute": "each column by itself in another order",
    "missing": f"{MISSING:.0%} of all values",
}
"""What each shift does, and by how much."""


def corruptions_for(schema: Schema) -> Mapping[str, Corruption]:
    """The shifts for samples of a schema, each a function of ``(N, *sample_shape)`` to the same shape."""
    if isinstance(schema, ImageSchema):
        return _image_corruptions(schema)
    if isinstance(schema, TableSchema):
        numeric = [j for j, column in enumerate(schema.columns) if column.kind == "numeric"]
    else:
        numeric = list(range(schema.dim))
    return _row_corruptions(numeric, missing=isinstance(schema, TableSchema))


def _image_corruptions(schema: ImageSchema) -> Mapping[str, Corruption]:
    span = schema.high - schema.low

    def blur(x: Samples, _: Generator) -> Samples:
        return schema.bounded(ndimage.gaussian_filter(x, (0, 0, BLUR_PIXELS, BLUR_PIXELS)))

    def noise(x: Samples, rng: Generator) -> Samples:
        return schema.bounded(x + rng.normal(0, span * NOISE, x.shape))

    def contrast(x: Samples, _: Generator) -> Samples:
        mean = x.mean(axis=(1, 2, 3), keepdims=True)
        return schema.bounded(mean + CONTRAST * (x - mean))

    shifts: dict[str, Corruption] = {
        "blur": blur,
        "noise": noise,
        "gain": lambda x, _: schema.bounded(schema.low + GAIN * (x - schema.low)),
        "brightness": lambda x, _: schema.bounded(x + span * BRIGHTER),
        "contrast": contrast,
        "flip": lambda x, _: x[:, :, ::-1].copy(),
    }
    if schema.height == schema.width:
        shifts["rotate90"] = lambda x, _: np.rot90(x, axes=(2, 3)).copy()
    return shifts


def apart(x: Samples, rng: Generator) -> Samples:
    """Permute each column of rows ``(N, columns)`` independently."""
    return np.stack([rng.permutation(column) for column in x.T], axis=1)


def _row_corruptions(numeric: list[int], *, missing: bool) -> Mapping[str, Corruption]:
    def scaled(x: Samples, shift: float, factor: float) -> Samples:
        out = x.astype(np.float64)
        # An empty column has no mean, so it stays as it is.
        held = [j for j in numeric if not np.isnan(out[:, j]).all()]
        values = out[:, held]
        centre, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        out[:, held] = centre + factor * (values - centre) + shift * spread
        return out

    def drop(x: Samples, rng: Generator) -> Samples:
        return np.where(rng.random(x.shape) < MISSING, np.nan, x)

    shifts: dict[str, Corruption] = {}
    if numeric:
        shifts["shift"] = lambda x, _: scaled(x, MOVED, 1.0)
        shifts["scale"] = lambda x, _: scaled(x, 0.0, WIDER)
    shifts["permute"] = apart
    if missing:
        shifts["missing"] = drop
    return shifts
