"""Makes the standards that streams are held to: reference, calibrated procedure and policy put together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from driftwatch.config import AlertsConfig, WindowsConfig
from driftwatch.config.durations import duration_ms
from driftwatch.reference.reference import Reference
from driftwatch.stats.martingale import grades
from driftwatch.stats.sequential import Procedure
from driftwatch.stream.anytime import AnytimeAlarm
from driftwatch.stream.examples import POSITIONS_ONLY, ExampleRule
from driftwatch.stream.policy import Policy
from driftwatch.stream.time_windows import TimeRule, TimeSize
from driftwatch.stream.windows import Standard, StreamTester

PATIENCE = 3
"""Longest windows without drift that end an alarm whose p-values stay low, or which has come back: the more, the fewer
alerts tell of one drift, and the later the last of them is resolved (`benchmarks.flapping`)."""

FORGOTTEN_MEMORIES = 2
"""Memories after which a sample says next to nothing of the next one."""


class TesterFactory:
    """Makes standards and testers; streams that share a reference share its calibration.

    Args:
        sizes: window sizes in samples.
        step: samples in a pane.
        budget: expected samples between false alarms.
        min_effect: nats per sample below which a window never alarms.
        resolve_after: steps in a row without drift, before an alarm may end.
        severity: the least effect of each severity, nats per sample.
        examples: which samples alerts point at.
        anytime_alpha: chance that a stream without drift ever sets the anytime alarm off; 0 for none.
        by_time: windows by time; their `budget` is taken from `budget`, in which all sizes have an equal share.
    """

    __test__ = False

    def __init__(
        self,
        *,
        sizes: Sequence[int],
        step: int,
        budget: float,
        min_effect: float,
        resolve_after: int,
        severity: Mapping[str, float],
        examples: ExampleRule = POSITIONS_ONLY,
        anytime_alpha: float = 0.0,
        by_time: TimeRule | None = None,
    ) -> None:
        self._sizes, self._step = tuple(sizes), step
        every = len(sizes) + (len(by_time.sizes) if by_time else 0)
        self._budget, self._share = budget * every / len(sizes), len(sizes) / every
        self._by_time = replace(by_time, budget=budget * every) if by_time else None
        self._min_effect, self._resolve_after, self._severity = min_effect, resolve_after, dict(severity)
        self._examples, self._anytime_alpha = examples, anytime_alpha
        self._procedures: dict[str, Procedure] = {}
        self._standards: dict[str, Standard] = {}

    def procedure(self, reference: Reference) -> Procedure:
        """The calibrated procedure for a reference; takes seconds the first time."""
        known = self._procedures.get(reference.version)
        if known is None:
            known = self._procedures[reference.version] = self._calibrated(reference)
        return known

    def _calibrated(self, reference: Reference) -> Procedure:
        procedure = reference.procedure(
            self._sizes,
            self._step,
            budget=self._budget,
            resolve_after=self._resolve_after,
            by_time=self._by_time is not None,
        )
        if self._by_time is None:
            return procedure
        # What is told is told of all windows together.
        control, (low, high) = procedure.control, procedure.control.interval
        interval = (low * self._share, high * self._share)
        return replace(procedure, control=replace(control, budget=control.budget * self._share, interval=interval))

    def keep(self, versions: Collection[str]) -> None:
        """Forgets the calibration of all references but these."""
        for held in (self._procedures, self._standards):
            for version in held.keys() - set(versions):
                del held[version]

    def policy(self, procedure: Procedure) -> Policy:
        """The policy under a procedure's threshold."""
        return Policy(
            threshold=procedure.control.threshold,
            min_effect=self._min_effect,
            resolve_after=self._resolve_after,
            severity=self._severity,
            patience=max(self._resolve_after, PATIENCE * max(self._sizes) // self._step),
            patience_ms=PATIENCE * self._by_time.sizes[-1].length_ms if self._by_time else 0,
        )

    def standard(self, reference: Reference) -> Standard:
        """What streams of a reference are held to; always the same one."""
        known = self._standards.get(reference.version)
        if known is None:
            procedure = self.procedure(reference)
            known = self._standards[reference.version] = Standard(
                reference,
                procedure,
                self.policy(procedure),
                self._examples,
                self._anytime(reference),
                self._by_time,
            )
        return known

    def __call__(self, stream: str, reference: Reference) -> StreamTester:
        """A tester for one stream."""
        return StreamTester(stream, self.standard(reference))

    def _anytime(self, reference: Reference) -> AnytimeAlarm | None:
        if not self._anytime_alpha:
            return None
        calibration = grades(reference.bank[:, reference.layout.surprise].astype(np.float64))
        every = round(FORGOTTEN_MEMORIES * reference.memory.tau) if reference.memory.tau > 1 else 1
        return AnytimeAlarm(calibration[::every], self._anytime_alpha, hold=max(self._sizes), every=every)


def tester_factory(windows: WindowsConfig, alerts: AlertsConfig) -> TesterFactory:
    """Makes the testers that a configuration asks for."""
    return TesterFactory(
        sizes=windows.counts,
        step=windows.step,
        budget=alerts.budget_samples,
        min_effect=alerts.min_effect,
        resolve_after=alerts.resolve_after,
        severity=alerts.severity,
        examples=example_rule(alerts),
        anytime_alpha=alerts.anytime_alpha,
        by_time=time_rule(windows, alerts.budget_samples),
    )


def time_rule(windows: WindowsConfig, budget: float) -> TimeRule | None:
    """How streams are tested by time; None if they are not."""
    if windows.tick_ms is None:
        return None
    sizes = tuple(TimeSize(name, length_ms) for name, length_ms in windows.times_ms.items())
    return TimeRule(sizes, windows.tick_ms, duration_ms(windows.out_of_order), budget)


def example_rule(alerts: AlertsConfig) -> ExampleRule:
    """Which samples alerts point at."""
    return ExampleRule(alerts.examples.count, alerts.examples.include_samples)
