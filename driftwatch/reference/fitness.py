"""What makes data unfit to be a reference: it drifts within, repeats itself, has columns that tell nothing, or was
learnt by heart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.schema import Column, Samples, Schema, TableSchema, VectorSchema
from driftwatch.flows.base import Flow
from driftwatch.reference.columns import percent, unordered_columns
from driftwatch.reference.contents import Contents
from driftwatch.reference.evaluation import auroc
from driftwatch.reference.latents import latents_of
from driftwatch.reference.order import MOST_SAMPLES, SLICES, Order, examine_order
from driftwatch.reference.scoring import Scorer

FALSE_WARNINGS = 0.01
"""Of data in random order, the share that is said to drift within."""

REPEATED_SHARE = 0.01
REPEATED_ROWS_SHARE = 0.2
"""For tables and vectors of whole numbers, which have few values: some rows are equal by chance."""

LEAKED_SHARE = 0.01
BY_HEART = 0.6
"""Chance that a held-out sample is less likely than one that was fitted to: a half if nothing was learnt by heart."""

FITTED_ROWS = 2_000

NAMED = 8
"""Dimensions that are named at most."""

LEAVE_OUT = "leave it out by data.exclude"


@dataclass(frozen=True)
class Unfit:
    """Why a reference may be unfit; it is a warning, and nothing is refused.

    Args:
        kind: ``drifts-within``, ``duplicates``, ``empty-column``, ``constant-column``, ``key-column``, ``leakage``,
            ``by-heart`` or ``hardly-trained``.
        what: is the matter, and how much of it.
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


def told_warnings(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """What a bundle's manifest warns of, for people."""
    return tuple(str(Unfit(**warning)) for warning in manifest.get("warnings", ()))


def order_of(scorer: Scorer, samples: Samples, *, seed: int) -> Order:
    """Tests the order of samples ``(N, *sample_shape)``, of at most `MOST_SAMPLES` of them, evenly."""
    count = min(len(samples), MOST_SAMPLES)
    chosen = samples[np.arange(count) * len(samples) // count]
    reference = scorer.reference
    unordered = unordered_columns(reference.schema)
    told = reference.category_shares.phrase if reference.category_shares else None
    return examine_order(scorer.bank(chosen), scorer.layout, reference.feature_names, unordered, told, seed=seed)


def drift_within(order: Order, rows: int, place_of: Callable[[int], str]) -> list[Unfit]:
    """Warns of data that drifts within.

    Args:
        order: what was found.
        rows: of the data.
        place_of: says where a row is.
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
            "leave out what is not normal any more; if all of it is, expect alarms while a stream is like one part of "
            "it, or set alerts.min_effect above this",
        )
    ]


def duplicates(contents: Contents, schema: Schema) -> list[Unfit]:
    """Warns of data that repeats itself."""
    coarse = isinstance(schema, TableSchema) or (isinstance(schema, VectorSchema) and schema.integer)
    if contents.repeated <= (REPEATED_ROWS_SHARE if coarse else REPEATED_SHARE):
        return []
    expected = "if its values are few, that is as it should be; else " if coarse else ""
    return [
        Unfit(
            "duplicates",
            f"{percent(contents.repeated)} of the samples repeat one before, the commonest comes {contents.most:,} "
            "times: fewer different ones are held out than it seems, and false alarms come more often than asked for",
            f"{expected}remove the copies, unless the stream repeats itself as well",
        )
    ]


def telling_nothing(rows: Samples, schema: Schema) -> list[Unfit]:
    """Warns of a table's columns that hold nothing, one value, or a key, and of vectors' dimensions that never change.

    Args:
        rows: some of them, ``(N, columns)``.
        schema: of one.
    """
    if isinstance(schema, VectorSchema):
        return _constant_dimensions(rows)
    if not isinstance(schema, TableSchema):
        return []
    found = (_told_nothing(values, column) for values, column in zip(rows.T, schema.columns, strict=True))
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
            f"looked at: {named}",
            "leave them out of the array, unless any other value is to be an alarm",
        )
    ]


def _told_nothing(values: NDArray[np.floating], column: Column) -> Unfit | None:
    known = values[~np.isnan(values)]
    where = f"in the {len(values):,} rows that were looked at"
    different = np.unique(known)
    if not len(known):
        return Unfit(
            "empty-column",
            f"column {column.name!r} holds nothing {where}",
            f"{LEAVE_OUT}: its first value would be drift",
        )
    if len(different) == 1 and len(known) == len(values):
        # What is no category of the schema has the number behind the last.
        others = ["one of many"] if column.others else []
        texts = (*map(repr, column.categories), *others, "none of its categories")
        value = f"{known[0]:g}" if column.kind == "numeric" else texts[int(known[0])]
        return Unfit(
            "constant-column",
            f"column {column.name!r} is always {value} {where}",
            f"{LEAVE_OUT}, unless any other value is to be an alarm",
        )
    if column.kind == "numeric" and len(different) == len(known) > 1 and bool((known == np.rint(known)).all()):
        return Unfit(
            "key-column",
            f"column {column.name!r} holds whole numbers that never repeat {where}, as an id or a key does",
            f"{LEAVE_OUT}: new ones look like drift",
        )
    return None


def leakage(leaked: float) -> list[Unfit]:
    """Warns of calibration samples that the flow was fitted to."""
    if leaked <= LEAKED_SHARE:
        return []
    return [
        Unfit(
            "leakage",
            f"{percent(leaked)} of the samples to calibrate with equal samples that the flow was fitted to: where it "
            "learnt those by heart, fresh ones look like drift",
            "remove the copies, unless the stream repeats itself as well",
        )
    ]


def hardly_trained(steps: int, warmup_steps: int) -> list[Unfit]:
    """Warns of a flow whose time was over while it still warmed up."""
    if steps >= warmup_steps:
        return []
    return [
        Unfit(
            "hardly-trained",
            f"the time was over after {steps:,} steps, before the {warmup_steps:,} that warm up: the flow has hardly "
            "learnt anything, and detects less than it could",
            "give training.minutes more, or make samples or flow smaller",
        )
    ]


@dataclass(frozen=True)
class ByHeart:
    """How much better a flow knows what it was fitted to.

    Args:
        chance: that a held-out sample is less likely than a fitted one; 0.5 if it makes no difference.
        gap: between the medians of their negative log-likelihoods, nats per dimension.
    """

    chance: float
    gap: float

    def warn(self) -> list[Unfit]:
        """Warns of a flow that learnt its data by heart."""
        if self.chance <= BY_HEART:
            return []
        return [
            Unfit(
                "by-heart",
                f"the flow has learnt its data by heart: held-out samples cost {self.gap:.2g} nats/dim more than those "
                f"it was fitted to, and are the less likely ones in {percent(self.chance)} of pairs, not in half",
                "give more data, or a smaller flow (flow.hidden, flow.steps or flow.layers), or train for less long",
            )
        ]


def by_heart(flow: Flow, fitted: Samples, held_out: NDArray[np.floating]) -> ByHeart:
    """Compares likelihoods.

    Args:
        flow: in evaluation mode.
        fitted: samples that it was fitted to, ``(N, *sample_shape)``.
        held_out: negative log-likelihoods of others, nats.
    """
    nll = latents_of(flow, fitted[:FITTED_ROWS]).nll
    return ByHeart(auroc(nll, held_out.astype(np.float64)), float(np.median(held_out) - np.median(nll)) / flow.dim)


@dataclass(frozen=True)
class Fitness:
    """What was found, as figures for the manifest, and what is to be warned of."""

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
    """Puts together what was found of data.

    Args:
        contents: which samples are equal.
        schema: of one sample.
        order: what their order shows.
        rows: of the data.
        place_of: says where a row is.
        fitted: samples that the flow was fitted to, ``(N, *sample_shape)``; None where it is not fitted anew.
        leaked: share of calibration samples that the flow was fitted to; None where that is not known.
        heart: how much better the flow knows what it was fitted to; None where that is not known.
    """
    figures: dict[str, Any] = {
        "order": {"p_value": order.p_value, "effects_nats": order.effects, "most": order.most, "moved": order.moved},
        "repeated_share": contents.repeated,
        "commonest_rows": contents.most,
    }
    warnings = [*drift_within(order, rows, place_of), *duplicates(contents, schema)]
    if fitted is not None:
        warnings += telling_nothing(fitted, schema)
    if leaked is not None:
        figures["leaked_share"] = leaked
        warnings += leakage(leaked)
    if heart is not None:
        figures["by_heart"] = asdict(heart)
        warnings += heart.warn()
    return Fitness(figures, warnings)
