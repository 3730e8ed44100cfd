"""Shifts of adjustable size, to find the smallest that a reference detects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from driftwatch.data.corruptions import apart
from driftwatch.data.schema import ImageSchema, Samples, Schema, TableSchema

Move = Callable[[Samples, float, Generator], Samples]

MOST_COLUMNS = 4
"""For shifts of one column, so many evenly spaced columns are tried."""


@dataclass(frozen=True)
class GradedShift:
    """A kind of shift.

    Args:
        name: for people.
        unit: the unit of its size.
        smallest: the smallest size worth reporting.
        largest: the largest size that is tried.
        moves: functions from samples ``(N, *sample_shape)`` and a size to shifted samples; for shifts of one column,
            one function for each column that is tried.
        by_share: whether the size is the share of samples that are shifted; `moves` then ignore it and shift all.
    """

    name: str
    unit: str
    smallest: float
    largest: float
    moves: Sequence[Move]
    by_share: bool = False


def graded_shifts(schema: Schema, samples: Samples) -> tuple[GradedShift, ...]:
    """The shifts that make sense for a kind of samples.

    Args:
        schema: the schema of one sample.
        samples: samples of the reference, ``(N, *sample_shape)``; they show which columns vary, and how much.
    """
    return _of_images(schema) if isinstance(schema, ImageSchema) else _of_rows(schema, samples)


def _of_images(schema: ImageSchema) -> tuple[GradedShift, ...]:
    span = schema.high - schema.low

    def brighten(x: Samples, size: float, _: Generator) -> Samples:
        return schema.bounded(x + span * size)

    def darken(x: Samples, size: float, _: Generator) -> Samples:
        return schema.bounded(schema.low + (1.0 - size) * (x - schema.low))

    def blur(x: Samples, size: float, _: Generator) -> Samples:
        return schema.bounded(ndimage.gaussian_filter(x, (0, 0, size, size)))

    def disturb(x: Samples, size: float, rng: Generator) -> Samples:
        return schema.bounded(x + rng.normal(0, span * size, x.shape))

    def turn(x: Samples, _: float, __: Generator) -> Samples:
        return x[:, :, ::-1, ::-1].copy()

    return (
        GradedShift("brighter", "of the range", 0.004, 0.5, (brighten,)),
        GradedShift("darker", "of each value (gain)", 0.005, 1.0, (darken,)),
        GradedShift("blur", "pixels (standard deviation)", 0.1, 3.0, (blur,)),
        GradedShift("noise", "of the range (standard deviation)", 0.004, 0.5, (disturb,)),
        GradedShift("upside down", "of the samples", 0.01, 1.0, (turn,), by_share=True),
    )


def _of_rows(schema: Schema, samples: Samples) -> tuple[GradedShift, ...]:
    every, table = range(samples.shape[1]), schema if isinstance(schema, TableSchema) else None
    numeric = [j for j in every if table is None or table.columns[j].kind == "numeric"]
    varying = [j for j in numeric if len(np.unique(samples[~np.isnan(samples[:, j]), j])) > 1]
    shifts = []
    if varying:
        chosen = _evenly(varying)
        one = "one column" if table else "one dimension"
        higher, wider = ([_scaled(samples, j, mean=mean) for j in chosen] for mean in (True, False))
        shifts += [
            GradedShift("mean", f"standard deviations of {one}", 0.02, 5.0, higher),
            GradedShift("spread", f"standard deviations of {one} added", 0.05, 10.0, wider),
        ]
    if table:
        lost = [_missing(j) for j in _evenly(every)]
        shifts.append(GradedShift("missing", "of one column's values", 0.005, 1.0, lost, by_share=True))
    if len(every) > 1:
        shifts.append(
            GradedShift("columns apart", "of the samples", 0.01, 1.0, (lambda x, _, rng: apart(x, rng),), by_share=True)
        )
    return tuple(shifts)


def _evenly(columns: Sequence[int]) -> list[int]:
    count = min(MOST_COLUMNS, len(columns))
    return [columns[place * len(columns) // count] for place in range(count)]


def _scaled(samples: Samples, column: int, *, mean: bool) -> Move:
    known = samples[~np.isnan(samples[:, column]), column]
    centre, spread = float(known.mean()), float(known.std())
    whole = bool((known == np.rint(known)).all())

    def move(x: Samples, size: float, rng: Generator) -> Samples:
        out = x.astype(np.float64)
        values = out[:, column]
        moved = values + size * spread if mean else centre + (1.0 + size) * (values - centre)
        # Whole numbers stay whole. Rounding up at random keeps their mean right.
        out[:, column] = np.floor(moved + rng.random(len(x))) if whole else moved
        return out

    return move


def _missing(column: int) -> Move:
    def move(x: Samples, _: float, __: Generator) -> Samples:
        out = x.astype(np.float64)
        out[:, column] = np.nan
        return out

    return move
