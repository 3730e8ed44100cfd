"""Checks whether data is fit to be a reference: no drift within it, few duplicates, informative columns, not memorized
by the flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.schema import Column, Samples, Schema, TableSchema, VectorSchema
from driftwatch.flows.base import Flow
from driftwatch.reference.columns import percent
from driftwatch.reference.contents import Contents
from driftwatch.reference.evaluation import auroc
from driftwatch.reference.latents import latents_of
from driftwatch.reference.order import MOST_SAMPLES, SLICES, Order, examine_order
from driftwatch.reference.scoring import Scorer

FALSE_WARNINGS = 0.01
"""Probability of a warning about drift for data in random order."""

REPEATED_SHARE = 0.01
REPEATED_ROWS_SHARE = 0.2
"""For tables and integer vectors, where some rows are equal by chance."""

LEAKED_SHARE = 0.01
BY_HEART = 0.6
"""Probability that a held-out sample is less likely than a fitted one: a half if the flow memorized nothing."""

FITTED_ROWS = 2_000

NAMED = 8
"""The most dimensions that are named."""

LEAVE_OUT = "leave it out by data.exclude"


@dataclass(frozen=True)
class Unfit:
    """A reason why data may be unfit as a reference; a warning, so nothing is refused.

    Args:
        kind: ``drifts-within``, ``duplicates``, ``empty-column``, ``constant-column``, ``key-column``, ``leakage``,
            ``by-heart`` or ``hardly-trained``.
        what: the problem and its extent.
        remedy: what to do about it.
    """

    kind: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what} ({self.remedy})"

    def to_json(self) -> dict[str, str]:
        """A JSON-able entry of the manifest's ``warnings``."""
        return asdict(self)


def warning_texts(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The warnings in a bundle's manifest, as text."""
    return tuple(str(Unfit(**warning)) for warning in manifest.get("warnings", ()))


def order_of(scorer: Scorer, samples: Samples, *, seed: int) -> Order:
    """Test the order of samples ``(N, *sample_shape)``, using at most `MOST_SAMPLES` of them, evenly spread."""
    count = min(len(samples), MOST_SAMPLES)
    chosen = samples[np.arange(count) * len(samples) // count]
    return examine_order(scorer.bank(chosen), scorer.layout, scorer.reference.row_features, seed=seed)


def drift_within(order: Order, rows: int, place_of: Callable[[int], str]) -> list[Unfit]:
    """Warn of data that drifts within itself.

    Args:
        order: result of the test.
        rows: of the data.
        place_of: describes the position of a row.
    """
    if order.p_value > FALSE_WARNINGS:
        return []
    first, last = (rows * place // SLICES for place in (order.most, order.most + 1))
    moved = f": {'; '.join(order.moved)}" if order.moved else ""
    return [
        Unfit(
            "drifts-within",
            f"the data drifts within: the tenth from {place_of(first)} to {place_of(last - 1)} differs most, by "
            f"{order.effects[order.most]:.2g} nats/sample{moved} (p {order.p_value:.2g})",
            "leave out what is no longer normal; if all of it is, expect alarms while a stream resembles only one part "
            "of it, or set alerts.min_effect above this",
        )
    ]


def duplicates(contents: Contents, schema: Schema) -> list[Unfit]:
    """Warn of data that contains copies."""
    coarse = isinstance(schema, TableSchema) or (isinstance(schema, VectorSchema) and schema.integer)
    if contents.repeated <= (REPEATED_ROWS_SHARE if coarse else REPEATED_SHARE):
        return []
    expected = "no action is needed if its values are few; otherwise " if coarse else ""
    return [
        Unfit(
            "duplicates",
            f"{percent(contents.repeated)} of the samples repeat an earlier one, the most frequent comes "
            f"{contents.most:,} times: fewer distinct samples are held out than it seems, and false alarms come more "
            "often than the budget allows",
            f"{expected}remove the copies, unless the stream repeats itself as well",
        )
    ]


def uninformative_columns(rows: Samples, schema: Schema) -> list[Unfit]:
    """Warn of a table's columns that are empty, constant or a key, and of vectors' dimensions that never change.

    Args:
        rows: some rows, ``(N, columns)``.
        schema: of one row.
    """
    if isinstance(schema, VectorSchema):
        return _constant_dimensions(rows)
    if not isinstance(schema, TableSchema):
        return []
    found = (_uninformative(values, column) for values, column in zip(rows.T, schema.columns, strict=True))
    return [warning for warning in found if warning]


def _constant_dimensions(rows: Samples) -> list[Unfit]:
    constant = np.flatnonzero((rows == rows[:1]).all(axis=0)) + 1
    if not len(constant):
        return []
    named = ", ".join(map(str, constant[:NAMED])) + (" ..." if len(constant) > NAMED else "")
    return [
        Unfit(
            "constant-column",
            f"{len(constant):,} of {rows.shape[1]:,} dimensions never change in the {len(rows):,} samples that were "
            f"checked: {named}",
            "leave them out of the array, unless other values in many rows are to raise an alarm",
        )
    ]


def _uninformative(values: NDArray[np.floating], column: Column) -> Unfit | None:
    known = values[~np.isnan(values)]
    where = f"in the {len(values):,} rows that were checked"
    different = np.unique(known)
    if not len(known):
        return Unfit(
            "empty-column",
            f"column {column.name!r} is empty {where}",
            f"{LEAVE_OUT}: its first value would count as drift",
        )
    if len(different) == 1 and len(known) == len(values):
        # Values that are no category of the schema have the number after the last category.
        others = ["one of many"] * len(column.others)
        texts = (*map(repr, column.categories), *others, "none of its categories")
        value = f"{known[0]:g}" if column.kind == "numeric" else texts[int(known[0])]
        return Unfit(
            "constant-column",
            f"column {column.name!r} is always {value} {where}",
            f"{LEAVE_OUT}, unless other values in many rows are to raise an alarm",
        )
    if column.kind == "numeric" and len(different) == len(known) > 1 and bool((known == np.rint(known)).all()):
        return Unfit(
            "key-column",
            f"column {column.name!r} holds whole numbers that never repeat {where}, like an id or a key",
            f"{LEAVE_OUT}: new values look like drift",
        )
    return None


def leakage(leaked: float) -> list[Unfit]:
    """Warn of calibration samples that the flow was fitted to."""
    if leaked <= LEAKED_SHARE:
        return []
    return [
        Unfit(
            "leakage",
            f"{percent(leaked)} of the calibration samples equal samples that the flow was fitted to: if it memorized "
            "those, fresh ones look like drift",
            "remove the copies, unless the stream repeats itself as well",
        )
    ]


def hardly_trained(steps: int, warmup_steps: int) -> list[Unfit]:
    """Warn of a flow whose time ran out during warm-up."""
    if steps >= warmup_steps:
        return []
    return [
        Unfit(
            "hardly-trained",
            f"the time ran out after {steps:,} steps, within the {warmup_steps:,} of the warm-up: the flow has hardly "
            "learnt anything, and detects less than it could",
            "raise training.minutes, or make the samples or the flow smaller",
        )
    ]


@dataclass(frozen=True)
class ByHeart:
    """How far a flow memorized the samples it was fitted to.

    Args:
        chance: probability that a held-out sample is less likely than a fitted one; 0.5 if nothing was memorized.
        gap: between the medians of their negative log-likelihoods, nats per dimension.
    """

    chance: float
    gap: float

    def warn(self) -> list[Unfit]:
        """Warn of a flow that memorized its data."""
        if self.chance <= BY_HEART:
            return []
        return [
            Unfit(
                "by-heart",
                "the flow has memorized its data, or these are few for so many dimensions: held-out samples cost "
                f"{self.gap:.2g} nats/dim more than fitted ones, and are the less likely ones in "
                f"{percent(self.chance)} of pairs instead of half",
                "give more data, or use a smaller flow (flow.hidden, flow.steps or flow.layers)",
            )
        ]


def by_heart(flow: Flow, fitted: Samples, held_out: NDArray[np.floating]) -> ByHeart:
    """Compare the likelihoods of fitted and held-out samples.

    Args:
        flow: in evaluation mode.
        fitted: samples that it was fitted to, ``(N, *sample_shape)``.
        held_out: negative log-likelihoods of held-out samples, nats.
    """
    nll = latents_of(flow, fitted[:FITTED_ROWS]).nll
    return ByHeart(auroc(nll, held_out.astype(np.float64)), float(np.median(held_out) - np.median(nll)) / flow.dim)


@dataclass(frozen=True)
class Fitness:
    """Results of the checks: figures for the manifest, and warnings."""

    figures: Mapping[str, Any]
    warnings: Sequence[Unfit]


def assess_fitness(
    contents: Contents,
    schema: Schema,
    order: Order,
    rows: int,
    place_of: Callable[[int], str],
    *,
    fitted: Samples | None = None,
    leaked: float | None = None,
    heart: ByHeart | None = None,
) -> Fitness:
    """Combine the results of all checks.

    Args:
        contents: hashes of the samples, to find equal ones.
        schema: of one sample.
        order: result of the test of their order.
        rows: of the data.
        place_of: describes the position of a row.
        fitted: samples that the flow was fitted to, ``(N, *sample_shape)``; None if it is not fitted anew.
        leaked: share of calibration samples that the flow was fitted to; None if unknown.
        heart: how far the flow memorized its samples; None if unknown.
    """
    figures: dict[str, Any] = {
        "order": {"p_value": order.p_value, "effects_nats": order.effects, "most": order.most, "moved": order.moved},
        "repeated_share": contents.repeated,
        "commonest_rows": contents.most,
    }
    warnings = [*drift_within(order, rows, place_of), *duplicates(contents, schema)]
    if fitted is not None:
        warnings += uninformative_columns(fitted, schema)
    if leaked is not None:
        figures["leaked_share"] = leaked
        warnings += leakage(leaked)
    if heart is not None:
        figures["by_heart"] = asdict(heart)
        warnings += heart.warn()
    return Fitness(figures, warnings)
