"""The Python interface to a reference: scores of samples, tests of windows, monitors of streams."""

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
from driftwatch.reference.detectable import Detectable, stored_detectable
from driftwatch.reference.device import choose_device
from driftwatch.reference.fitness import warning_texts
from driftwatch.reference.loading import load_reference
from driftwatch.reference.scoring import Scorer, Scores
from driftwatch.settings import model_of
from driftwatch.stats.interval import effect_interval
from driftwatch.stats.null import WindowNull
from driftwatch.stats.summary import merge
from driftwatch.stream.alert import DetectorResult, Effect, HeatMap
from driftwatch.stream.findings import detector_results, examine
from driftwatch.stream.heat_map import heat_map, place_words
from driftwatch.stream.standards import Standards, example_rule, standards_for
from driftwatch.stream.windows import StreamTester

PANE = 10
"""Samples per pane for the interval of an effect, as in the daemon."""


@dataclass(frozen=True, repr=False)
class WindowTest:
    """The result of testing a window of samples against its reference.

    Args:
        samples: in the window.
        p_value: of the combined detector: the probability that a window of the reference is at least as unusual.
        effect: how far the window is from the reference, nats per sample.
        detectors: each with its statistic and p-value, and its parts by block of the latent space.
        explanation: what moved most, in words.
        heat_map: for images, where they differ.
        remarks: reasons to doubt the p-value; usually none.
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
        """The statistic of each detector, by name."""
        return {each.name: each.statistic for each in self.detectors}

    @property
    def p_values(self) -> dict[str, float]:
        """The p-value of each detector, by name."""
        return {each.name: each.p_value for each in self.detectors}


class Reference:
    """A reference to compare samples with; made by `load` and `train`.

    Args:
        scorer: of the loaded reference.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._nulls: dict[int, WindowNull] = {}
        self._standards: dict[str, Standards] = {}

    def __repr__(self) -> str:
        return f"<driftwatch.Reference {self.name}/{self.version}: {self.schema.describe()}>"

    @property
    def name(self) -> str:
        """The name of the bundle."""
        return self._scorer.reference.name

    @property
    def version(self) -> str:
        """A digest of the bundle's contents: equal contents have equal versions."""
        return self._scorer.reference.version

    @property
    def schema(self) -> Schema:
        """The schema of one sample."""
        return self._scorer.reference.schema

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The bundle's manifest: training data, metrics, versions."""
        return self._scorer.reference.manifest

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons why the training data may be unfit as a reference, one line each."""
        return warning_texts(self.manifest)

    @property
    def detectable(self) -> tuple[Detectable, ...]:
        """The smallest shifts that windows of some sizes detect, as measured after training."""
        return stored_detectable(self.manifest)

    def score(self, data: Data) -> Scores:
        """Score each sample by itself.

        Args:
            data: of the reference's kind, with samples along the first axis or as rows.

        Raises:
            DataError: the data cannot be read, or does not fit the reference.
        """
        parts = [self._scorer.scores(chunk).to_dict() for chunk in samples(data, self.schema)]
        return Scores(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def test(self, window: Data) -> WindowTest:
        """Test whether samples, taken together as one window, come from the reference.

        The first window of a length takes about a second, in which windows of the reference are simulated.

        Args:
            window: samples as for `score`; preferably tens or hundreds.

        Raises:
            DataError: the data cannot be read, or does not fit the reference.
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
        """Start to watch a stream, like the daemon with the same settings.

        The first monitor with given settings takes some seconds to calibrate.

        Args:
            windows: sizes in samples, multiples of `step`.
            step: samples between two tests.
            budget: of false alarms: text as in a configuration, or samples between two of them.
            min_effect: nats per sample below which no alert fires.
            resolve_after: number of tests in a row without a drifting window that resolve an alert, once windows look
                like the reference again.
            anytime_alpha: probability that a stream without drift ever raises an alarm on single samples; 0 disables
                this alarm.
            severity: least effect of each level, nats per sample; ``{"warning": 0, "critical": 5}`` if None.
            name: of the stream in alerts.

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
        standards = self._standards.setdefault(key, standards_for(sizes, alerts))
        tester = StreamTester(name, standards.standard(self._scorer.reference))
        return Monitor(self._scorer, tester, step, example_rule(alerts))

    def _null(self, size: int) -> WindowNull:
        if size not in self._nulls:
            self._nulls[size] = self._scorer.window_null(size)
        return self._nulls[size]


def load(bundle: str | Location, *, device: str = "auto") -> Reference:
    """Load a reference and verify its checksums.

    Args:
        bundle: its folder or URL.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        BundleError: it is missing, damaged or of another format version.
        UsageError: there is no such device.
    """
    return Reference(Scorer(load_reference(bundle, choose_device(device))))
