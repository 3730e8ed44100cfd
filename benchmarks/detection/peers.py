"""What driftwatch is measured beside: two-sample statistics of a window against samples of the reference.

alibi-detect 0.13 is licensed under BSL 1.1: it is measured here, never shipped. All peers see the same reference
samples. Of frouros, whose detectors are univariate but for an MMD like alibi-detect's, the energy distance of the
likelihoods is taken: it sees how they are spread where the mean does not move. river's detectors follow one number
over time and have no reference: they have their place in `benchmarks.detection.delay`.
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
"""Windows times features: the cost of KS grows with both."""

MOST_MMD = 400_000
"""Likewise."""

PACKAGES = ("alibi_detect", "frouros", "river")


class Peer(Protocol):
    """A statistic of one window; larger means more drift.

    `sees` is the view of samples that it is given, `windows` the most that its cost allows on each side, `smallest`
    the fewest samples that it is defined for.
    """

    name: str
    sees: View
    windows: int
    smallest: int

    def statistic(self, window: Rows) -> float:
        """Of a window's rows ``(n, D)``."""


class Mmd:
    """alibi-detect's MMD: unbiased, Gaussian kernel, median heuristic. What it permutes for p-values is not needed."""

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
    """KS over all features with Bonferroni: the largest distance decides.

    alibi-detect's KSDrift takes a third of a second for a window of images. Its distances are the textbook's, so
    ours are used, which are quick; `agreement` compares the two.
    """

    name, sees, windows, smallest = "ks", "vectors", 200, 1

    def __init__(self, reference: Rows) -> None:
        self._reference = reference
        self._ours = KolmogorovSmirnov(reference)
        self.windows = min(Ks.windows, MOST_KS // reference.shape[1])

    def statistic(self, window: Rows) -> float:
        return self._ours.statistic(window)

    def agreement(self, windows: NDArray[np.float32]) -> float:
        """The largest difference to alibi-detect's KSDrift over windows ``(M, n, D)``."""
        from alibi_detect.cd import KSDrift

        theirs = KSDrift(self._reference)
        found = [float(theirs.predict(window)["data"]["distance"].max()) for window in windows]
        return max(abs(self.statistic(window) - distance) for window, distance in zip(windows, found, strict=True))


class OwnMmd:
    """`driftwatch.reference.baselines`' biased MMD, where alibi-detect is not installed."""

    name, sees, windows, smallest = "mmd", "vectors", 200, 1

    def __init__(self, reference: Rows) -> None:
        self._ours = MaximumMeanDiscrepancy(reference)

    def statistic(self, window: Rows) -> float:
        return self._ours.statistic(window)


class EnergyOfLikelihood:
    """frouros' energy distance between the likelihoods of the window and of the reference, on our flow."""

    name, sees, windows, smallest = "energy of nll (frouros)", "nll", 2_000, 1

    def __init__(self, reference: Rows) -> None:
        from frouros.detectors.data_drift import EnergyDistance

        self._detector = EnergyDistance()
        self._detector.fit(X=reference[:, 0])

    def statistic(self, window: Rows) -> float:
        return float(self._detector.compare(X=window[:, 0])[0].distance)


def installed() -> dict[str, str]:
    """The version of each package of peers that can be imported; empty if it cannot."""
    found = {name: importlib.util.find_spec(name) is not None for name in PACKAGES}
    return {name: importlib.metadata.version(name.replace("_", "-")) if here else "" for name, here in found.items()}


def peers_for(reference: Mapping[View, Rows], categories: Sequence[int]) -> list[Peer]:
    """Those that are installed, fitted to the same reference samples."""
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
    """alibi-detect speaks of backends that are not installed, and of torch's deprecations."""
    logging.getLogger("alibi_detect").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="alibi_detect|torch")
