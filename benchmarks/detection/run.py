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
        windows: windows per side, for contenders whose cost allows it.
        samples: samples of each shift, and of the fresh reference data.
        known: number of reference samples that the peers are fitted to.
        seed: seed of all random draws.
        peer_windows: windows per side for every peer; as many as its cost allows, if None.
        shift: the only shift to measure; all, if empty.
    """

    windows: int = 2_000
    samples: int = 5_000
    known: int = 1_000
    seed: int = 0
    peer_windows: int | None = None
    shift: str = ""


@dataclass(frozen=True)
class Row:
    """One result of a contender.

    Args:
        material: name of the material.
        shift: name of the shift.
        window: samples in a window.
        contender: name of the contender.
        auroc: how often a shifted window scores higher than a reference window.
        low: lower bound of the 95 % interval of `auroc`.
        high: upper bound of that interval.
        windows: windows per side.
        detected: the share of shifted windows that alarm if adjacent windows may raise one false alarm in `BUDGET`
        samples; None for peers, whose statistics do not come with such small p-values.
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
    """Results for windows of one size: each contender's statistics ``(M,)``, and the share that our detectors flag."""

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
        """Milliseconds per window, by contender."""
        return {name: 1e3 * taken / self.windows[name] for name, taken in self.seconds.items()}


@dataclass(frozen=True)
class Pool:
    """Samples that windows are drawn from: their summaries ``(N, V)``, and their views for the peers."""

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
        material: the material; the peers are fitted to part of its training data.
        scorer: scorer of the trained reference.
        extent: how much to measure.
        costs: where the time that contenders take is recorded.
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
        """Score samples and prepare them for the peers."""
        samples = self.scorer.reference.schema.coerce(raw)
        started = time.perf_counter()
        summaries = self.scorer.bank(samples)
        self.costs.add(SCORING, time.perf_counter() - started, len(samples))
        seen: dict[View, Rows] = {view: prepare(samples) for view, prepare in self._views.items()}
        return Pool(summaries, seen | {"nll": summaries[:, 2:3]})

    def mean_nll(self, raw: Raw) -> float:
        """The mean negative log-likelihood of samples under the flow, nats."""
        return float(self.pool(raw[: self.extent.samples]).summaries[:, 2].mean())

    def rows(self) -> Iterator[Row]:
        """One row per shift, size and contender."""
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
        """The results for reference windows, with which all shifts are compared."""
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
