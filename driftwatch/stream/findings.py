"""Compares a window's summary with a reference: the figures of every detector, and what moved, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from driftwatch.data.flaws import Flaws
from driftwatch.data.schema import TableSchema
from driftwatch.reference.columns import MOST_TOLD, Found, flawed_columns, moved_columns, unordered_columns
from driftwatch.reference.reference import Reference
from driftwatch.stats.decomposition import PARTS
from driftwatch.stats.null import DETECTORS, GEOMETRY_PARTS, Tested, WindowNull
from driftwatch.stats.summary import Array
from driftwatch.stream.alert import DetectorResult
from driftwatch.stream.explain import CALM, calm, explain
from driftwatch.stream.results import Excess, Findings


def examine(
    null: WindowNull, summaries: Array, reference: Reference, flaws: Sequence[Flaws] | None = None
) -> list[Findings]:
    """Test windows of one size; many at once cost much less than one by one.

    Args:
        null: for the windows' size.
        summaries: of the windows, ``(M, V)``.
        reference: to compare with.
        flaws: of each window's values; None for none.
    """
    return findings(null, summaries, null.test(summaries), reference, flaws)


def findings(
    null: WindowNull, summaries: Array, tested: Tested, reference: Reference, flaws: Sequence[Flaws] | None = None
) -> list[Findings]:
    """The findings for windows that the null has tested; see `examine`."""
    parts, deviations, blocks = tested.features.decomposition.parts, tested.deviations, reference.block_names
    groups = [group for group, _ in null.layout.groups]
    statistics, p_values = _by_window(tested.statistics), _by_window(tested.p_values)
    geometry, effects = _geometry(tested), tested.effect.tolist()
    of_parts, excess_nats = parts.tolist(), np.subtract(parts, null.parts_mean).tolist()
    excess_deviations = deviations[:, : parts[0].size].reshape(len(parts), -1, len(PARTS)).tolist()
    group_deviations = deviations[:, deviations.shape[1] - len(groups) :].tolist()
    squares = tested.features.hotelling.tolist()
    phrases, is_calm = moved(summaries, reference, flaws), calm(deviations)

    def explained(m: int) -> str:
        """The named columns that moved, if any; else what moved in latent space."""
        if phrases[m]:
            return "; ".join([*phrases[m], f"{effects[m]:+.3g} nats/sample in all"])
        return CALM if is_calm[m] else explain(null, parts[m], deviations[m], geometry[m], blocks, effects[m])

    return [
        Findings(
            statistics=statistics[m],
            p_values=p_values[m],
            parts={block: dict(zip(PARTS, each, strict=True)) for block, each in zip(blocks, of_parts[m], strict=True)},
            geometry=geometry[m],
            moments=dict(zip(groups, squares[m], strict=True)),
            effect_nats=effects[m],
            explanation=explained(m),
            excess=Excess(excess_nats[m], excess_deviations[m], group_deviations[m]),
        )
        for m in range(len(summaries))
    ]


def moved(
    summaries: Array, reference: Reference, flaws: Sequence[Flaws] | None = None, most: int = MOST_TOLD
) -> list[list[str]]:
    """Phrases that say which columns moved in each window, most certain first; empty without columns.

    Args:
        summaries: of the windows, ``(M, V)``.
        reference: to compare with.
        flaws: of each window's values; None for none.
        most: how many phrases a window may have.
    """
    return moved_columns(
        summaries,
        reference.layout,
        reference.feature_names,
        _flawed(flaws, summaries, reference),
        rests_on=float(reference.others[0]),
        most=most,
        unordered=unordered_columns(reference.schema),
        of_categories=reference.category_shares.phrase if reference.category_shares else None,
    )


@dataclass
class _Batch:
    """Windows that are tested against one null; examined together when the first finding is requested."""

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
    """Examines windows of several streams together: all that were added before the first finding is requested."""

    def __init__(self) -> None:
        self._batches: dict[tuple[int, int], _Batch] = {}

    def ask(self, null: WindowNull, summary: Array, reference: Reference, flaws: Flaws) -> Callable[[], Findings]:
        """Add a window, given by its summary ``(V,)`` and flaws; return a function that returns its findings."""
        key = id(null), id(reference)
        batch = self._batches.get(key)
        if batch is None or batch.found:
            batch = self._batches[key] = _Batch(null, reference)
        batch.summaries.append(summary)
        batch.flaws.append(flaws)
        return partial(batch.finding, len(batch.summaries) - 1)


def detector_results(found: Findings) -> tuple[DetectorResult, ...]:
    """Each detector's result for a window, as in an alert."""
    parts: Mapping[str, Mapping[str, Mapping[str, float]]] = {
        "kl": found.parts,
        "geometry": {"latent": found.geometry},
        "moments": {group: {"t_squared": value} for group, value in found.moments.items()},
    }
    return tuple(
        DetectorResult(name, found.statistics[name], found.p_values[name], parts.get(name, {})) for name in DETECTORS
    )


def _geometry(tested: Tested) -> list[dict[str, float]]:
    """The geometry of each window's latents."""
    first = tested.features.decomposition.parts[0].size
    values = tested.features.values[:, first : first + len(GEOMETRY_PARTS)].copy()
    radius = GEOMETRY_PARTS.index("radius")
    values[:, radius] = np.exp(values[:, radius])
    return [dict(zip(GEOMETRY_PARTS, each, strict=True)) for each in values.tolist()]


def _flawed(flaws: Sequence[Flaws] | None, summaries: Array, reference: Reference) -> list[list[Found]] | None:
    """The columns of each window with more flaws than the reference has."""
    schema = reference.schema
    if flaws is None or not isinstance(schema, TableSchema):
        return None
    missing, new = reference.missing_shares, reference.unseen_shares
    return [
        flawed_columns(each, n, schema, missing, new) if each else []
        for each, n in zip(flaws, summaries[:, 0].tolist(), strict=True)
    ]


def _by_window(arrays: Mapping[str, Array]) -> list[dict[str, float]]:
    rows = zip(*(array.tolist() for array in arrays.values()), strict=True)
    return [dict(zip(arrays, each, strict=True)) for each in rows]
