"""A reference in Python: scores of samples, tests of windows, monitors of streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftwatch.api.monitor import Monitor
from driftwatch.api.samples import Data, samples
from driftwatch.config import AlertsConfig, WindowsConfig
from driftwatch.data.flaws import add_flaws
from driftwatch.data.schema import Schema
from driftwatch.locations import Location
from driftwatch.reference.detectable import Detectable, told_detectable
from driftwatch.reference.device import choose_device
from driftwatch.reference.fitness import told_warnings
from driftwatch.reference.reference import load_reference
from driftwatch.reference.scoring import Scorer, Scores
from driftwatch.settings import model_of
from driftwatch.stats.interval import effect_interval
from driftwatch.stats.null import WindowNull
from driftwatch.stats.summary import merge
from driftwatch.stream.alert import DetectorResult, Effect, HeatMap
from driftwatch.stream.findings import detector_results, examine
from driftwatch.stream.heat_map import heat_map, place_words
from driftwatch.stream.monitor import TesterFactory, example_rule, tester_factory

PANE = 10
"""Samples that count as one where it is asked by how much an effect varies, as in the daemon's panes."""


@dataclass(frozen=True, repr=False)
class WindowTest:
    """What a window of samples shows beside its reference.

    Args:
        samples: in the window.
        p_value: of the combined detector: the chance that a window of the reference is as unusual.
        effect: how far the window is from the reference, nats per sample.
        detectors: each with its statistic and p-value, and its parts by block of the latent space.
        explanation: what moved most, for people.
        heat_map: of images: where they differ.
        remarks: why the p-value is to be doubted; mostly none.
    """

    samples: int
    p_value: float
    effect: Effect
    detectors: tuple[DetectorResult, ...]
    explanation: str
    heat_map: HeatMap | None
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        effect = f"{self.effect.nats:.3g} nats/sample ({self.effect.low:.3g} to {self.effect.high:.3g})"
        return f"<driftwatch.WindowTest of {self.samples:,}: p {self.p_value:.3g}, {effect}: {self.explanation}>"

    @property
    def statistics(self) -> dict[str, float]:
        """By the name of the detector."""
        return {each.name: each.statistic for each in self.detectors}

    @property
    def p_values(self) -> dict[str, float]:
        """By the name of the detector."""
        return {each.name: each.p_value for each in self.detectors}


class Reference:
    """What samples are compared with; made by `load` and `train`.

    Args:
        scorer: of the loaded reference.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._nulls: dict[int, WindowNull] = {}
        self._factories: dict[str, TesterFactory] = {}

    def __repr__(self) -> str:
        return f"<driftwatch.Reference {self.name}/{self.version}: {self.schema.describe()}>"

    @property
    def name(self) -> str:
        """Of the bundle."""
        return self._scorer.reference.name

    @property
    def version(self) -> str:
        """A digest of what the bundle does: the same contents have the same version."""
        return self._scorer.reference.version

    @property
    def schema(self) -> Schema:
        """Of one sample."""
        return self._scorer.reference.schema

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The bundle's manifest: training data, metrics, versions."""
        return self._scorer.reference.manifest

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the training data may be unfit to be a reference, each in a line."""
        return told_warnings(self.manifest)

    @property
    def detectable(self) -> tuple[Detectable, ...]:
        """The smallest shifts that windows of some sizes detect, as training found them."""
        return told_detectable(self.manifest)

    def score(self, data: Data) -> Scores:
        """Scores each sample by itself.

        Args:
            data: of the reference's kind, with samples along the first axis or as rows.

        Raises:
            DataError: it cannot be read, or does not fit the reference.
        """
        parts = [self._scorer.scores(chunk).to_dict() for chunk in samples(data, self.schema)]
        return Scores(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def test(self, window: Data) -> WindowTest:
        """Tests samples together, as one window: whether they come from the reference.

        The first window of a length takes a second or so: windows of the reference are simulated to compare it with.

        Args:
            window: samples as in `score`; at best some tens or hundreds.

        Raises:
            DataError: they cannot be read, or do not fit the reference.
        """
        reference = self._scorer.reference
        scored = [
            pane
            for chunk in samples(window, self.schema)
            for pane in self._scorer(np.split(chunk, range(PANE, len(chunk), PANE)))
        ]
        panes = np.stack([pane.summary for pane in scored])
        summary = merge(panes)
        size = int(summary[0])
        null = self._null(size)
        (found,) = examine(null, summary[None], reference, [add_flaws(pane.flaws for pane in scored)])
        cells = heat_map(summary, reference)
        place = place_words(cells, summary, reference) if cells else ""
        return WindowTest(
            samples=size,
            p_value=found.p_value,
            effect=Effect(*effect_interval(null, panes, reference.others[0])),
            detectors=detector_results(found),
            explanation="; ".join(filter(None, (found.explanation, place))),
            heat_map=cells,
            remarks=reference.size_remarks(size),
        )

    def monitor(
        self,
        *,
        windows: Sequence[int] = (50, 500),
        step: int = 10,
        budget: str | float = "1 per 1e6 samples",
        min_effect: float = 0.0,
        resolve_after: int = 3,
        anytime_alpha: float = 1e-3,
        severity: Mapping[str, float] | None = None,
        name: str = "stream",
    ) -> Monitor:
        """Begins to watch a stream, as the daemon does with the same settings.

        Calibrates first, which takes seconds, and once for all streams with the same settings.

        Args:
            windows: their sizes in samples, multiples of `step`.
            step: samples after which they are tested anew.
            budget: of false alarms: text as in a configuration, or samples between two of them.
            min_effect: nats per sample below which no alert fires.
            resolve_after: tests in a row without a window that drifts, that resolve an alert once windows look like the
                reference again.
            anytime_alpha: chance that a stream without drift ever alarms by its single samples; 0 for no such alarm.
            severity: the least effect of each level, nats per sample; ``{"warning": 0, "critical": 5}`` if None.
            name: of the stream, as alerts tell it.

        Raises:
            ConfigError: a setting is not allowed.
        """
        sizes = model_of({"sizes": windows if isinstance(windows, int) else list(windows), "step": step}, WindowsConfig)
        chosen = {
            "false_alarm_budget": budget if isinstance(budget, str) else f"1 per {budget} samples",
            "min_effect": min_effect,
            "resolve_after": resolve_after,
            "anytime_alpha": anytime_alpha,
            **({} if severity is None else {"severity": dict(severity)}),
        }
        alerts = model_of(chosen, AlertsConfig)
        key = f"{sizes.model_dump_json()} {alerts.model_dump_json()}"
        factory = self._factories.setdefault(key, tester_factory(sizes, alerts))
        return Monitor(self._scorer, factory(name, self._scorer.reference), step, example_rule(alerts))

    def _null(self, size: int) -> WindowNull:
        if size not in self._nulls:
            self._nulls[size] = self._scorer.window_null(size)
        return self._nulls[size]


def load(bundle: str | Location, *, device: str = "auto") -> Reference:
    """Loads a reference and verifies its checksums.

    Args:
        bundle: its folder or URL.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        BundleError: it is missing, damaged or of another format version.
        UsageError: there is no such device.
    """
    return Reference(Scorer(load_reference(bundle, choose_device(device))))
