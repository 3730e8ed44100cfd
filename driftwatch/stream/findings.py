"""A window's summary held against a reference: figures of every detector, and what moved in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from driftwatch.data.flaws import Flaws
from driftwatch.data.schema import TableSchema
from driftwatch.reference.columns import Found, flawed_columns, moved_columns
from driftwatch.reference.reference import Reference
from driftwatch.stats.decomposition import PARTS
from driftwatch.stats.null import DETECTORS, GEOMETRY_PARTS, Tested, WindowNull
from driftwatch.stats.summary import Array
from driftwatch.stream.alert import DetectorResult
from driftwatch.stream.explain import explain
from driftwatch.stream.results import Findings, excess


def examine(
    null: WindowNull, summaries: Array, reference: Reference, flaws: Sequence[Flaws] | None = None
) -> list[Findings]:
    """Tests windows of one size; many at once cost much less than one by one.

    Args:
        null: of the windows' size.
        summaries: of the windows, ``(M, V)``.
        reference: they are compared with.
        flaws: of each window's values; none if None.
    """
    return findings(null, summaries, null.test(summaries), reference, flaws)


def findings(
    null: WindowNull, summaries: Array, tested: Tested, reference: Reference, flaws: Sequence[Flaws] | None = None
) -> list[Findings]:
    """Likewise, of windows that were tested by the null."""
    return [
        _findings(null, summary, tested.one(m), reference, flaws[m] if flaws else {})
        for m, summary in enumerate(summaries)
    ]


@dataclass
class _Batch:
    """Windows that are held against one null; examined when the first finding is asked for."""

    null: WindowNull
    reference: Reference
    summaries: list[Array] = field(default_factory=list)
    flaws: list[Flaws] = field(default_factory=list)
    found: list[Findings] = field(default_factory=list)

    def finding(self, number: int) -> Findings:
        if self.summaries:
            self.found = examine(self.null, np.stack(self.summaries), self.reference, self.flaws)
            self.summaries, self.flaws = [], []
        return self.found[number]


class Examiner:
    """Examines windows of any streams together: those that were asked for before the first finding is had."""

    def __init__(self) -> None:
        self._batches: dict[tuple[int, int], _Batch] = {}

    def ask(self, null: WindowNull, summary: Array, reference: Reference, flaws: Flaws) -> Callable[[], Findings]:
        """Takes a window, given as its summary ``(V,)`` and flaws; gives that which gives what is found."""
        key = id(null), id(reference)
        batch = self._batches.get(key)
        if batch is None or batch.found:
            batch = self._batches[key] = _Batch(null, reference)
        batch.summaries.append(summary)
        batch.flaws.append(flaws)
        return partial(batch.finding, len(batch.summaries) - 1)


def _findings(null: WindowNull, summary: Array, tested: Tested, reference: Reference, flaws: Flaws) -> Findings:
    parts, deviations = tested.features.decomposition.parts[0], tested.deviations[0]
    geometry = _geometry(tested)
    groups = [group for group, _ in null.layout.groups]
    return Findings(
        statistics=_first(tested.statistics),
        p_values=_first(tested.p_values),
        parts={
            block: dict(zip(PARTS, map(float, parts[s]), strict=True)) for s, block in enumerate(reference.block_names)
        },
        geometry=geometry,
        moments=dict(zip(groups, map(float, tested.features.hotelling[0]), strict=True)),
        effect_nats=float(tested.effect[0]),
        explanation=_explain(null, summary, tested, geometry, reference, flaws),
        excess=excess(reference.block_names, parts - null.parts_mean, deviations[: parts.size].reshape(parts.shape)),
        groups=dict(zip(groups, map(float, deviations[len(deviations) - len(groups) :]), strict=True)),
    )


def detector_results(found: Findings) -> tuple[DetectorResult, ...]:
    """What each detector says of a window, as an alert tells it."""
    parts: Mapping[str, Mapping[str, Mapping[str, float]]] = {
        "kl": found.parts,
        "geometry": {"latent": found.geometry},
        "moments": {group: {"t_squared": value} for group, value in found.moments.items()},
    }
    return tuple(
        DetectorResult(name, found.statistics[name], found.p_values[name], parts.get(name, {})) for name in DETECTORS
    )


def _geometry(tested: Tested) -> dict[str, float]:
    offset = tested.features.decomposition.parts[0].size
    values = map(float, tested.features.values[0, offset : offset + len(GEOMETRY_PARTS)])
    geometry = dict(zip(GEOMETRY_PARTS, values, strict=True))
    geometry["radius"] = float(np.exp(geometry["radius"]))
    return geometry


def _explain(
    null: WindowNull,
    summary: Array,
    tested: Tested,
    geometry: dict[str, float],
    reference: Reference,
    flaws: Flaws,
) -> str:
    """For people: the columns that moved, if there are any with a name; else what moved in the latent space."""
    columns = moved_columns(
        summary,
        null.layout,
        reference.feature_names,
        _flawed(flaws, float(summary[0]), reference),
        rests_on=float(reference.others[0]),
    )
    effect = float(tested.effect[0])
    if columns:
        return "; ".join([*columns, f"{effect:+.3g} nats/sample in all"])
    parts = tested.features.decomposition.parts[0]
    return explain(null, parts, tested.deviations[0], geometry, reference.block_names, effect)


def _flawed(flaws: Flaws, n: float, reference: Reference) -> list[Found]:
    if not flaws or not isinstance(reference.schema, TableSchema):
        return []
    return flawed_columns(flaws, n, reference.schema, reference.missing_shares)


def _first(arrays: Mapping[str, Array]) -> dict[str, float]:
    return {name: float(array[0]) for name, array in arrays.items()}
