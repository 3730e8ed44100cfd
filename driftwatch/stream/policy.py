"""When a stream is firing and when it is resolved: a small state machine over window results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from driftwatch.stream.results import WindowResult

CALM = 0.01
"""P-value above which a window counts as quiet. While a drift grows slowly, p-values hover about the threshold: alarms
came twice in a drift, and once with this, for a resolution 60 samples later (`benchmarks.slow_onset`)."""


@dataclass(frozen=True)
class Policy:
    """What the user asked of alerts.

    Args:
        threshold: p-value at which an alarm starts, from the false-alarm budget.
        min_effect: nats per sample below which a window never alarms.
        resolve_after: quiet steps in a row that end an alarm.
        severity: the least effect, in nats per sample, of each severity.
        calm: p-value above which a window is quiet; the threshold, if that is larger.
    """

    threshold: float
    min_effect: float
    resolve_after: int
    severity: Mapping[str, float]
    calm: float = CALM

    def drifted(self, p_value: float, effect: float) -> bool:
        """Whether one window is an alarm."""
        return p_value <= self.threshold and effect >= self.min_effect

    def quiet(self, p_value: float, effect: float) -> bool:
        """Whether one window has nothing against the end of an alarm."""
        return p_value > max(self.calm, self.threshold) or effect < self.min_effect

    def severity_of(self, effect: float) -> str:
        """The highest severity whose least effect is reached; the lowest one if none is."""
        ranked = sorted(self.severity.items(), key=lambda item: item[1])
        reached = [name for name, least in ranked if effect >= least]
        return reached[-1] if reached else ranked[0][0]


@dataclass(frozen=True)
class PolicyState:
    """What the policy remembers of a stream between steps.

    Args:
        firing: whether an alarm is on.
        severity: of the alarm that was last announced.
        quiet: steps in a row, up to the last one, that were.
        since_ms: event time at which the alarm started.
        reference: version of the reference that it started by.
    """

    firing: bool = False
    severity: str = ""
    quiet: int = 0
    since_ms: int = 0
    reference: str = ""


@dataclass(frozen=True)
class Transition:
    """An announcement that the policy makes: a stream starts firing, fires more severely, or is resolved."""

    state: Literal["firing", "resolved"]
    severity: str
    window: WindowResult


def advance(
    policy: Policy,
    state: PolicyState,
    results: Sequence[WindowResult],
    *,
    anytime: bool = False,
    drifting: bool = False,
) -> tuple[PolicyState, Transition | None]:
    """One step of a stream: the results of every window size that is full.

    Args:
        policy: what the user asked for.
        state: before the step.
        results: of this step, at least one, ascending by the window's size.
        anytime: whether the anytime alarm is on; it is told with the longest window, and heeds the least effect.
        drifting: whether a window of another step was not quiet when it was tested last; then none is resolved.

    Returns:
        The state after the step, and what is to be announced, if anything.
    """
    alarming = [result for result in results if result.drift]
    longest = results[-1]
    if anytime and not alarming and longest.effect_nats >= policy.min_effect:
        alarming = [longest]
    if alarming:
        worst = min(alarming, key=lambda result: result.p_value)
        severity = policy.severity_of(max(result.effect_nats for result in alarming))
        if not state.firing:
            return PolicyState(True, severity, 0, worst.end_ms, worst.reference), Transition("firing", severity, worst)
        if _rank(policy, severity) > _rank(policy, state.severity):
            return replace(state, severity=severity, quiet=0), Transition("firing", severity, worst)
        return _restless(state), None
    if not state.firing or drifting or not all(policy.quiet(each.p_value, each.effect_nats) for each in results):
        return _restless(state), None
    if state.quiet + 1 < policy.resolve_after:
        return replace(state, quiet=state.quiet + 1), None
    calmest = min(results, key=lambda result: result.p_value)
    return PolicyState(), Transition("resolved", state.severity, calmest)


def _restless(state: PolicyState) -> PolicyState:
    """A state after a step that was not quiet."""
    return replace(state, quiet=0) if state.quiet else state


def _rank(policy: Policy, severity: str) -> float:
    return policy.severity.get(severity, float("-inf"))
