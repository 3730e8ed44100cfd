"""Compares a window's summary with a reference: the figures of every detector, and what moved, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice

import numpy as np

from driftwatch.data.flaws import Flaws
from driftwatch.data.schema import TableSchema
from driftwatch.reference.columns import MOST_TOLD, Found, flawed_columns, moved_columns
from driftwatch.reference.reference import Reference
from driftwatch.stats.decomposition import PARTS
from driftwatch.stats.null import DETECTORS, GEOMETRY_PARTS, Tested, WindowNull, features, join
from driftwatch.stats.summary import Array
from driftwatch.stream.alert import DetectorResult
from driftwatch.stream.count_windows import CountWindow
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
    return findings(null, null.test(summaries), reference, moved(summaries, reference, flaws))


def findings(
    null: WindowNull, tested: Tested, reference: Reference, phrases: Sequence[Sequence[str]]
) -> list[Findings]:
    """The findings for windows that the null has tested, and for which `moved` found these phrases."""
    parts, deviations, blocks = tested.features.decomposition.parts, tested.deviations, reference.block_names
    groups = [group for group, _ in null.layout.groups]
    statistics, p_values = _by_window(tested.statistics), _by_window(tested.p_values)
    geometry, effects = _geometry(tested), tested.effect.tolist()
    of_parts, excess_nats = parts.tolist(), np.subtract(parts, null.parts_mean).tolist()
    excess_deviations = deviations[:, : parts[0].size].reshape(len(parts), -1, len(PARTS)).tolist()
    group_deviations = deviations[:, deviations.shape[1] - len(groups) :].tolist()
    squares, is_calm = tested.features.hotelling.tolist(), calm(deviations, tested.p_values["combined"])

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
        for m in range(len(phrases))
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
        reference.row_features,
        _flawed(flaws, summaries, reference),
        rests_on=float(reference.others[0]),
        most=most,
    )


class Batch:
    """Windows that are compared with one reference, all together when the first finding is requested.

    Args:
        reference: the reference.
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self._blocks: list[Array] = []
        self._filled = 0
        self._nulls: list[WindowNull] = []
        self._flaws: list[Flaws] = []
        self._found: list[Findings] = []

    @property
    def examined(self) -> bool:
        """Whether findings were requested, so that it takes no more windows."""
        return bool(self._found)

    def make_room(self, windows: int) -> None:
        """Make sure that there is room for so many more windows; if it is made, for as many as there are or more."""
        if self._blocks:
            if len(self._blocks[-1]) - self._filled >= windows:
                return
            self._blocks[-1] = self._blocks[-1][: self._filled]
        self._blocks.append(np.empty((max(windows, len(self._nulls)), self.reference.layout.size)))
        self._filled = 0

    def ask(self, null: WindowNull, window: CountWindow, flaws: Flaws) -> Callable[[], Findings]:
        """Add a window as it is now, to be tested against a null; return a function that returns its findings."""
        window.summary(out=self._blocks[-1][self._filled])
        self._filled += 1
        self._nulls.append(null)
        self._flaws.append(flaws)
        return partial(self._finding, len(self._nulls) - 1)

    def _finding(self, number: int) -> Findings:
        if not self._found:
            self._found = self._examine()
        return self._found[number]

    def _examine(self) -> list[Findings]:
        blocks = [block for block in (*self._blocks[:-1], self._blocks[-1][: self._filled]) if len(block)]
        self._blocks.clear()
        reference, flaws = self.reference, iter(self._flaws)
        measured = join([features(block, reference.layout) for block in blocks])
        phrases = [each for block in blocks for each in moved(block, reference, list(islice(flaws, len(block))))]
        found: dict[int, Findings] = {}
        for null in {id(null): null for null in self._nulls}.values():
            places = [place for place, each in enumerate(self._nulls) if each is null]
            tested = null.judge(measured.of(places))
            found |= zip(places, findings(null, tested, reference, [phrases[place] for place in places]), strict=True)
        return [found[place] for place in range(len(found))]


class Examiner:
    """Examines windows of several streams together: all that were added before the first finding is requested."""

    def __init__(self) -> None:
        self._batches: dict[int, Batch] = {}

    def batch(self, reference: Reference, windows: int) -> Batch:
        """The batch for windows of a reference, with room for so many more."""
        batch = self._batches.get(id(reference))
        if batch is None or batch.examined:
            batch = self._batches[id(reference)] = Batch(reference)
        batch.make_room(windows)
        return batch


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
