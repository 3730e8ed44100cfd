"""The peers that driftwatch is compared with: two-sample statistics of a window against samples of the reference.

alibi-detect 0.13 is licensed under BSL 1.1: it is measured here, never shipped. All peers see the same reference
samples. frouros' detectors are univariate, except for an MMD like alibi-detect's; here it provides the energy distance
of the likelihoods, which reacts to their spread even where the mean stays. river's detectors follow one number over
time and have no reference: `benchmarks.detection.delay` measures them.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.views import Rows, View
from driftwatch.reference.baselines import KolmogorovSmirnov, MaximumMeanDiscrepancy

MOST_KS = 200_000
"""Limit of windows times features: the cost of KS grows with both."""

MOST_MMD = 400_000
"""The same limit for MMD."""

PACKAGES = ("alibi_detect", "frouros", "river")


class Peer(Protocol):
    """A statistic of one window; larger means more drift.

    `sees` is the view of samples that it receives, `windows` the most windows per side that its cost allows, and
    `smallest` the fewest samples for which it is defined.
    """

    name: str
    sees: View
    windows: int
    smallest: int

    def statistic(self, window: Rows) -> float:
        """The statistic of a window with rows ``(n, D)``."""


class Mmd:
    """alibi-detect's MMD: unbiased, Gaussian kernel, median heuristic, without permutations for p-values."""

    name, sees, windows, smallest = "mmd (alibi)", "vectors", 500, 2

    def __init__(self, reference: Rows) -> None:
        from alibi_detect.cd import MMDDrift

        self._detector = MMDDrift(reference, backend="pytorch", n_permutations=1, device="cpu")
        self.windows = min(Mmd.windows, MOST_MMD // reference.shape[1])

    def statistic(self, window: Rows) -> float:
        return float(self._detector.predict(window, return_p_val=False)["data"]["distance"])


class Univariate:
    """alibi-detect's TabularDrift: KS for numbers, chi-squared for categories, Bonferroni over columns."""

    name, sees, windows, smallest = "ks+chi² (alibi)", "columns", 200, 2

    def __init__(self, reference: Rows, categories: Sequence[int]) -> None:
        from alibi_detect.cd import TabularDrift

        # With Bonferroni the smallest p-value decides.
        self._detector = TabularDrift(reference, categories_per_feature=dict.fromkeys(categories))

    def statistic(self, window: Rows) -> float:
        p_values = self._detector.predict(window, drift_type="feature")["data"]["p_val"]
        return -float(np.log(np.maximum(p_values.min(), 1e-45)))


class Ks:
    """KS over all features with Bonferroni correction: the largest distance decides.

    alibi-detect's KSDrift takes a third of a second per window of images. It computes the textbook distances, as our
    much faster implementation does, which is used here; `agreement` compares the two.
    """

    name, sees, windows, smallest = "ks", "vectors", 200, 1

    def __init__(self, reference: Rows) -> None:
        self._reference = reference
        self._ours = KolmogorovSmirnov(reference)
        self.windows = min(Ks.windows, MOST_KS // reference.shape[1])

    def statistic(self, window: Rows) -> float:
        return self._ours.statistic(window)

    def agreement(self, windows: NDArray[np.float32]) -> float:
        """The largest difference from alibi-detect's KSDrift over windows ``(M, n, D)``."""
        from alibi_detect.cd import KSDrift

        theirs = KSDrift(self._reference)
        found = [float(theirs.predict(window)["data"]["distance"].max()) for window in windows]
        return max(abs(self.statistic(window) - distance) for window, distance in zip(windows, found, strict=True))


class OwnMmd:
    """The biased MMD of `driftwatch.reference.baselines`, used if alibi-detect is not installed."""

    name, sees, windows, smallest = "mmd", "vectors", 200, 1

    def __init__(self, reference: Rows) -> None:
        self._ours = MaximumMeanDiscrepancy(reference)

    def statistic(self, window: Rows) -> float:
        return self._ours.statistic(window)


class EnergyOfLikelihood:
    """frouros' energy distance between the likelihoods of window and reference under our flow."""

    name, sees, windows, smallest = "energy of nll (frouros)", "nll", 2_000, 1

    def __init__(self, reference: Rows) -> None:
        from frouros.detectors.data_drift import EnergyDistance

        self._detector = EnergyDistance()
        self._detector.fit(X=reference[:, 0])

    def statistic(self, window: Rows) -> float:
        return float(self._detector.compare(X=window[:, 0])[0].distance)


def installed() -> dict[str, str]:
    """The version of each peer's package; empty if it is not installed."""
    found = {name: importlib.util.find_spec(name) is not None for name in PACKAGES}
    return {name: importlib.metadata.version(name.replace("_", "-")) if here else "" for name, here in found.items()}


def peers_for(reference: Mapping[View, Rows], categories: Sequence[int]) -> list[Peer]:
    """The installed peers, fitted to the same reference samples."""
    versions = installed()
    alibi = bool(versions["alibi_detect"])
    if alibi:
        quieten()
    chosen: list[Any] = [Mmd(reference["vectors"]) if alibi else OwnMmd(reference["vectors"])]
    if categories and alibi:
        chosen.append(Univariate(reference["columns"], categories))
    else:
        chosen.append(Ks(reference["vectors"]))
    if versions["frouros"]:
        chosen.append(EnergyOfLikelihood(reference["nll"]))
    return chosen


def quieten() -> None:
    """Silence alibi-detect's messages about missing backends and torch's deprecations."""
    logging.getLogger("alibi_detect").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="alibi_detect|torch")
