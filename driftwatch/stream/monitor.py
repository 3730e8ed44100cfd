"""Makes the standards that streams are held to: reference, calibrated procedure and policy put together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from driftwatch.config import AlertsConfig, WindowsConfig
from driftwatch.reference.reference import Reference
from driftwatch.stats.martingale import grades
from driftwatch.stats.sequential import Procedure
from driftwatch.stream.anytime import AnytimeAlarm
from driftwatch.stream.examples import POSITIONS_ONLY, ExampleRule
from driftwatch.stream.policy import Policy
from driftwatch.stream.windows import Standard, StreamTester

FORGOTTEN_MEMORIES = 2
"""Memories after which a sample says next to nothing of the next one."""


class TesterFactory:
    """Makes standards and testers; streams that share a reference share its calibration.

    Args:
        sizes: window sizes in samples.
        step: samples in a pane.
        budget: expected samples between false alarms.
        min_effect: nats per sample below which a window never alarms.
        resolve_after: quiet steps that end an alarm.
        severity: the least effect of each severity, nats per sample.
        examples: which samples alerts point at.
        anytime_alpha: chance that a stream without drift ever sets the anytime alarm off; 0 for none.
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
    ) -> None:
        self._sizes, self._step, self._budget = tuple(sizes), step, budget
        self._min_effect, self._resolve_after, self._severity = min_effect, resolve_after, dict(severity)
        self._examples, self._anytime_alpha = examples, anytime_alpha
        self._procedures: dict[str, Procedure] = {}
        self._standards: dict[str, Standard] = {}

    def procedure(self, reference: Reference) -> Procedure:
        """The calibrated procedure for a reference; takes seconds the first time."""
        known = self._procedures.get(reference.version)
        if known is None:
            known = self._procedures[reference.version] = reference.procedure(
                self._sizes, self._step, budget=self._budget, resolve_after=self._resolve_after
            )
        return known

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
        )

    def standard(self, reference: Reference) -> Standard:
        """What streams of a reference are held to; always the same one."""
        known = self._standards.get(reference.version)
        if known is None:
            procedure = self.procedure(reference)
            known = self._standards[reference.version] = Standard(
                reference, procedure, self.policy(procedure), self._examples, self._anytime(reference)
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
        sizes=windows.sizes,
        step=windows.step,
        budget=alerts.budget_samples,
        min_effect=alerts.min_effect,
        resolve_after=alerts.resolve_after,
        severity=alerts.severity,
        examples=example_rule(alerts),
        anytime_alpha=alerts.anytime_alpha,
    )


def example_rule(alerts: AlertsConfig) -> ExampleRule:
    """Which samples alerts point at."""
    return ExampleRule(alerts.examples.count, alerts.examples.include_samples)
