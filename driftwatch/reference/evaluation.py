"""Evaluation of detectors: how well each separates shifted from reference data, by shift and window size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from driftwatch.errors import DataError
from driftwatch.reference.baselines import Baseline, baselines
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.null import DETECTORS
from driftwatch.stats.resample import null_windows
from driftwatch.stats.summary import Array

REPORTED = ("combined", "kl", "geometry", "nll", "typicality")
WINDOWS_A_SIDE = 2_000
BASELINE_WINDOWS_A_SIDE = 300
DEFAULT_BUDGET = 1e6
MIN_SAMPLES = 20


@dataclass(frozen=True)
class Evaluation:
    """One figure of a report.

    Args:
        shift: name of the shifted data.
        window: samples in a window.
        detector: name of the detector.
        auroc: probability that a shifted window scores higher than a reference window, in ``[0, 1]``.
        tpr_at_budget: share of shifted windows that alarm, at the threshold for consecutive, non-overlapping windows
            that raise one false alarm per budget (see `side_by_side`).
    """

    shift: str
    window: int
    detector: str
    auroc: float
    tpr_at_budget: float

    def to_json(self) -> dict[str, str | int | float]:
        """A JSON-able row."""
        return asdict(self)


def side_by_side(window: int, budget: float = DEFAULT_BUDGET) -> float:
    """The p-value threshold at which non-overlapping windows raise one false alarm per `budget` samples.

    >>> side_by_side(50, 1e6)
    5e-05
    """
    return window / budget


def auroc(reference: Array, shifted: Array) -> float:
    """The area under the ROC curve (Mann-Whitney); ties count half.

    >>> auroc(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    0.875
    """
    # SciPy's rank tests agree, but importing scipy.stats for this alone takes a second of CPU time.
    ordered = np.sort(reference)
    if np.isnan(ordered[-1:]).any() or np.isnan(shifted).any():
        return float("nan")
    below, not_above = (np.searchsorted(ordered, shifted, side=side).sum() for side in ("left", "right"))
    return float((below + not_above) / (2 * len(reference) * len(shifted)))


def evaluate(
    scorer: Scorer,
    reference: NDArray[np.floating],
    shifted: Mapping[str, NDArray[np.floating]],
    *,
    windows: Sequence[int] = (1, 5, 10, 50),
    budget: float = DEFAULT_BUDGET,
    with_parts: bool = False,
    with_baselines: bool = False,
    seed: int = 0,
) -> Iterator[Evaluation]:
    """Compare windows of reference data with windows of shifted data.

    Args:
        scorer: of the reference.
        reference: fresh samples of the reference, ``(N, *sample_shape)``, that the bundle was not trained on.
        shifted: samples of each shift, by name.
        windows: window sizes, in samples.
        budget: samples between false alarms, for `Evaluation.tpr_at_budget`.
        with_parts: also evaluate the further detectors that are combined: `moments`.
        with_baselines: also evaluate the usual alternatives (MMD, KS) on raw values.
        seed: of the draws.

    Yields:
        One row for each shift, window size and detector, as they are computed.

    Raises:
        DataError: a data set has too few samples.
    """
    for name, samples in {"reference": reference, **shifted}.items():
        if len(samples) < MIN_SAMPLES:
            raise DataError(
                f"{len(samples)} samples are too few for an evaluation",
                where=name,
                remedy=f"give {MIN_SAMPLES} or more",
            )
    detectors = (*REPORTED, *(each for each in DETECTORS if with_parts and each not in REPORTED))
    layout = scorer.layout
    reference_bank = scorer.bank(reference)
    peers = baselines(reference, seed=seed) if with_baselines else ()
    nulls = {size: scorer.reference.window_null(size, seed=seed) for size in windows}
    count = WINDOWS_A_SIDE
    # Computed once, since every shift is compared with the same reference windows.
    plain = {
        size: null.judge(null_windows(HeldOut(reference_bank), layout, size, count=count, seed=seed + 1)).statistics
        for size, null in nulls.items()
    }
    for name, samples in shifted.items():
        bank = scorer.bank(samples)
        for size, null in nulls.items():
            moved = null.judge(null_windows(HeldOut(bank), layout, size, count=count, seed=seed + 2))
            for detector in detectors:
                yield Evaluation(
                    shift=name,
                    window=size,
                    detector=detector,
                    auroc=auroc(plain[size][detector], moved.statistics[detector]),
                    tpr_at_budget=float((moved.p_values[detector] <= side_by_side(size, budget)).mean()),
                )
            for peer in peers:
                yield _evaluate_peer(peer, name, size, reference, samples, budget, seed)


def _evaluate_peer(
    peer: Baseline,
    shift: str,
    size: int,
    reference: NDArray[np.floating],
    samples: NDArray[np.floating],
    budget: float,
    seed: int,
) -> Evaluation:
    rng = np.random.default_rng(seed + 3)
    # The baseline was fitted to the first half of the reference; windows come from the rest.
    rest = reference[len(reference) // 2 :]
    plain = np.array([peer.statistic(rest[rng.integers(0, len(rest), size)]) for _ in _peer_windows()])
    moved = np.array([peer.statistic(samples[rng.integers(0, len(samples), size)]) for _ in _peer_windows()])
    # The threshold cannot be finer than the baseline's null windows resolve.
    threshold = np.quantile(plain, 1.0 - max(side_by_side(size, budget), 1.0 / len(plain)))
    return Evaluation(shift, size, peer.name, auroc(plain, moved), float((moved > threshold).mean()))


def _peer_windows() -> range:
    return range(BASELINE_WINDOWS_A_SIDE)
