"""Builds the standards that streams are tested against: reference, calibrated procedure and policy."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

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

PATIENCE = 3
"""Patience, in lengths of the longest window: how long without drift before an alarm ends whose p-values stay low, or
which has come back. More patience gives fewer alerts for one drift, and resolves later (`benchmarks.flapping`)."""

FORGOTTEN_MEMORIES = 2
"""Memory lengths after which a sample says next to nothing about the next one."""


@dataclass(frozen=True, eq=False)
class Standard:
    """What the windows of a stream are tested against.

    Args:
        reference: the reference to compare with.
        procedure: calibrated for the window sizes and the budget.
        policy: decides what becomes an alert.
        examples: which samples an alert points to, and whether it includes them.
        alarm: the anytime alarm; None for windows only.
        by_time: the rule for windows by time; None for none.
    """

    reference: Reference
    procedure: Procedure
    policy: Policy
    examples: ExampleRule = POSITIONS_ONLY
    alarm: AnytimeAlarm | None = None
    by_time: TimeRule | None = None


class Standards:
    """Makes the standards of a configuration; streams with the same reference share one.

    Args:
        sizes: window sizes in samples.
        step: samples in a pane.
        budget: expected samples between false alarms.
        min_effect: nats per sample below which a window never alarms.
        resolve_after: consecutive steps without drift before an alarm may end.
        severity: the least effect of each severity, nats per sample.
        examples: which samples alerts point to.
        anytime_alpha: probability that a stream without drift ever triggers the anytime alarm; 0 for no such alarm.
        by_time: rule for windows by time; its `budget` is replaced: all sizes, by count or time, share `budget`
            equally.
    """

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
        total = len(sizes) + (len(by_time.sizes) if by_time else 0)
        self._budget, self._share = budget * total / len(sizes), len(sizes) / total
        self._by_time = replace(by_time, budget=budget * total) if by_time else None
        self._min_effect, self._resolve_after, self._severity = min_effect, resolve_after, dict(severity)
        self._examples, self._anytime_alpha = examples, anytime_alpha
        self._procedures: dict[str, Procedure] = {}
        self._standards: dict[str, Standard] = {}

    def procedure(self, reference: Reference) -> Procedure:
        """The calibrated procedure for a reference; the first call takes seconds."""
        cached = self._procedures.get(reference.version)
        if cached is None:
            cached = self._procedures[reference.version] = self._calibrated(reference)
        return cached

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
        # The figures reported are for all windows together.
        control, (low, high) = procedure.control, procedure.control.interval
        interval = (low * self._share, high * self._share)
        return replace(procedure, control=replace(control, budget=control.budget * self._share, interval=interval))

    def keep(self, versions: Collection[str]) -> None:
        """Drop the calibrations of all references but these."""
        for held in (self._procedures, self._standards):
            for version in held.keys() - set(versions):
                del held[version]

    def policy(self, procedure: Procedure) -> Policy:
        """The policy with a procedure's threshold."""
        return Policy(
            threshold=procedure.control.threshold,
            min_effect=self._min_effect,
            resolve_after=self._resolve_after,
            severity=self._severity,
            patience=max(self._resolve_after, PATIENCE * max(self._sizes) // self._step),
            patience_ms=PATIENCE * self._by_time.sizes[-1].length_ms if self._by_time else 0,
        )

    def standard(self, reference: Reference) -> Standard:
        """What streams of a reference are tested against; the same object each time."""
        cached = self._standards.get(reference.version)
        if cached is None:
            procedure = self.procedure(reference)
            cached = self._standards[reference.version] = Standard(
                reference,
                procedure,
                self.policy(procedure),
                self._examples,
                self._anytime(reference),
                self._by_time,
            )
        return cached

    def _anytime(self, reference: Reference) -> AnytimeAlarm | None:
        if not self._anytime_alpha:
            return None
        calibration = grades(reference.bank[:, reference.layout.surprise].astype(np.float64))
        every = round(FORGOTTEN_MEMORIES * reference.memory.tau) if reference.memory.tau > 1 else 1
        return AnytimeAlarm(calibration[::every], self._anytime_alpha, hold=max(self._sizes), every=every)


def standards_for(windows: WindowsConfig, alerts: AlertsConfig) -> Standards:
    """The standards for a configuration."""
    return Standards(
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
    """The rule for windows by time; None without such windows."""
    if windows.tick_ms is None:
        return None
    sizes = tuple(TimeSize(name, length_ms) for name, length_ms in windows.times_ms.items())
    return TimeRule(sizes, windows.tick_ms, duration_ms(windows.out_of_order), budget)


def example_rule(alerts: AlertsConfig) -> ExampleRule:
    """Which samples alerts point to."""
    return ExampleRule(alerts.examples.count, alerts.examples.include_samples)
