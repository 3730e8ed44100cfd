"""Measures one material: every contender on the same windows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.bootstrap import auroc_interval
from benchmarks.detection.material import Material, Raw, Shift
from benchmarks.detection.peers import Ks, Peer, installed, peers_for
from benchmarks.detection.views import Rows, View, categories, views
from benchmarks.detection.windows import draw
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.null import DETECTORS, WindowNull

BUDGET = 1e6
CHUNK = 250
SCORING, TESTING = "ours, scoring a sample", "ours, all detectors, from scored samples"
COMPARED = 3
"""Windows on which our KS is compared with alibi-detect's."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Args:
        windows: on each side, of a contender whose cost allows it.
        samples: of each shift, and of the fresh reference data.
        known: reference samples that the peers are fitted to.
        seed: of all draws.
        peer_windows: that every peer is given on each side; what its cost allows, if None.
        shift: the only one that is measured; all, if empty.
    """

    windows: int = 2_000
    samples: int = 5_000
    known: int = 1_000
    seed: int = 0
    peer_windows: int | None = None
    shift: str = ""


@dataclass(frozen=True)
class Row:
    """One figure of a contender.

    Args:
        material: what the reference is.
        shift: from it.
        window: samples in a window.
        contender: whose figure it is.
        auroc: how often a shifted window scores higher than a reference window.
        low: of its 95 % interval.
        high: of its 95 % interval.
        windows: on each side.
        detected: the share of shifted windows that alarm if windows side by side may raise one false alarm in `BUDGET`
            samples; none of peers, whose statistics come without so small p-values.
    """

    material: str
    shift: str
    window: int
    contender: str
    auroc: float
    low: float
    high: float
    windows: int
    detected: float | None


@dataclass(frozen=True)
class Measured:
    """Windows of one size: statistics ``(M,)`` of each contender, and the share that our detectors alarm on."""

    statistics: Mapping[str, Array]
    detected: Mapping[str, float]


@dataclass
class Costs:
    """Seconds and windows by contender, and how far our KS was from alibi-detect's."""

    seconds: dict[str, float] = field(default_factory=dict)
    windows: dict[str, int] = field(default_factory=dict)
    agreement: float | None = None

    def add(self, name: str, seconds: float, windows: int) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.windows[name] = self.windows.get(name, 0) + windows

    def milliseconds(self) -> dict[str, float]:
        """Per window, by contender."""
        return {name: 1e3 * taken / self.windows[name] for name, taken in self.seconds.items()}


@dataclass(frozen=True)
class Pool:
    """Samples that windows are drawn from: their summaries ``(N, V)``, and what each peer sees of them."""

    summaries: NDArray[np.float32]
    views: Mapping[View, Rows]

    def __len__(self) -> int:
        return len(self.summaries)

    def beside(self, other: Pool) -> Pool:
        """These samples followed by others."""
        return Pool(
            np.concatenate([self.summaries, other.summaries]),
            {view: np.concatenate([rows, other.views[view]]) for view, rows in self.views.items()},
        )


class Contest:
    """All contenders, fitted to one material.

    Args:
        material: with its training data, which the peers are fitted to some of.
        scorer: of the trained reference.
        extent: how much to measure.
        costs: told how long it took.
    """

    def __init__(self, material: Material, scorer: Scorer, extent: Extent, costs: Costs) -> None:
        self.material, self.scorer, self.extent, self.costs = material, scorer, extent, costs
        rng = np.random.default_rng(extent.seed)
        schema = scorer.reference.schema
        chosen = np.sort(rng.permutation(len(material.train))[: extent.known])
        known = schema.coerce(_rows(material.train, chosen))
        self._views = views(schema, known)
        pool = self.pool(_rows(material.train, chosen))
        self.peers = peers_for(pool.views, categories(schema))
        self._fresh = self.pool(material.fresh[: extent.samples])
        self._nulls: dict[int, WindowNull] = {}
        self._plain: dict[int, Measured] = {}

    def pool(self, raw: Raw) -> Pool:
        """Scores and prepares samples."""
        samples = self.scorer.reference.schema.coerce(raw)
        started = time.perf_counter()
        summaries = self.scorer.bank(samples)
        self.costs.add(SCORING, time.perf_counter() - started, len(samples))
        seen: dict[View, Rows] = {view: prepare(samples) for view, prepare in self._views.items()}
        return Pool(summaries, seen | {"nll": summaries[:, 2:3]})

    def mean_nll(self, raw: Raw) -> float:
        """What the flow finds likely, in nats."""
        return float(self.pool(raw[: self.extent.samples]).summaries[:, 2].mean())

    def rows(self) -> Iterator[Row]:
        """One row for each shift, size and contender."""
        rng = np.random.default_rng((self.extent.seed, 1))
        for name, shift in self.material.shifts(self.mean_nll).items():
            if self.extent.shift not in ("", name):
                continue
            yield from self._shift(name, shift, rng)

    def _shift(self, name: str, shift: Shift, rng: np.random.Generator) -> Iterator[Row]:
        shifted = self.pool(shift.samples)
        both = self._fresh.beside(shifted)
        for size in shift.sizes:
            plain = self._of_reference(size).statistics
            drawn = draw(rng, len(self._fresh), len(shifted), size, self.extent.windows, shift.share)
            measured = self._measure(both, drawn)
            for contender, moved in measured.statistics.items():
                found, detected = auroc_interval(plain[contender], moved), measured.detected.get(contender)
                yield Row(self.material.name, name, size, contender, *found, len(moved), detected)

    def _of_reference(self, size: int) -> Measured:
        """What is measured of reference windows, which all shifts are compared with."""
        if size not in self._plain:
            rng = np.random.default_rng((self.extent.seed, 2, size))
            drawn = draw(rng, len(self._fresh), 0, size, self.extent.windows, 0.0)
            self._plain[size] = self._measure(self._fresh, drawn)
            self._compare(drawn)
        return self._plain[size]

    def _measure(self, pool: Pool, drawn: NDArray[np.int64]) -> Measured:
        ours = self._ours(pool, drawn)
        peers = {peer.name: self._of_peer(peer, pool, drawn) for peer in self.peers if peer.smallest <= drawn.shape[1]}
        return Measured({**ours.statistics, **peers}, ours.detected)

    def _ours(self, pool: Pool, drawn: NDArray[np.int64]) -> Measured:
        size = drawn.shape[1]
        if size not in self._nulls:
            self._nulls[size] = self.scorer.reference.window_null(size, seed=self.extent.seed)
        null = self._nulls[size]
        started = time.perf_counter()
        parts = [
            null.test(pool.summaries[drawn[start : start + CHUNK]].sum(1, dtype=np.float64))
            for start in range(0, len(drawn), CHUNK)
        ]
        self.costs.add(TESTING, time.perf_counter() - started, len(drawn))
        statistics = {name: np.concatenate([part.statistics[name] for part in parts]) for name in DETECTORS}
        p_values = {name: np.concatenate([part.p_values[name] for part in parts]) for name in DETECTORS}
        return Measured(statistics, {name: float((p <= size / BUDGET).mean()) for name, p in p_values.items()})

    def _of_peer(self, peer: Peer, pool: Pool, drawn: NDArray[np.int64]) -> Array:
        rows = pool.views[peer.sees]
        started = time.perf_counter()
        chosen = islice(drawn, self.extent.peer_windows or peer.windows)
        found = np.array([peer.statistic(rows[window]) for window in chosen])
        self.costs.add(peer.name, time.perf_counter() - started, len(found))
        return found

    def _compare(self, drawn: NDArray[np.int64]) -> None:
        for peer in self.peers:
            if isinstance(peer, Ks) and installed()["alibi_detect"] and drawn.shape[1] > 1:
                found = peer.agreement(self._fresh.views[peer.sees][drawn[:COMPARED]])
                self.costs.agreement = max(found, self.costs.agreement or 0.0)


def _rows(raw: Raw, chosen: NDArray[np.int64]) -> Raw:
    return raw.iloc[chosen] if hasattr(raw, "iloc") else raw[chosen]
