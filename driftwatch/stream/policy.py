"""When a stream is firing and when it is resolved: a small state machine over window results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from driftwatch.stream.results import WindowResult

CALM = 0.2
"""P-value above which a window speaks for the end of an alarm. P-values of a drift that windows hardly see hover from
the threshold to 0.1 and back: not to be significant is no sign that it is over (`benchmarks.flapping`)."""

LENIENT = 0.01
"""The same once an alarm has waited with patience, so that it ends where p-values stay low for another reason."""

EASE = 0.5
"""Share of the least effect below which a window speaks for the end. Of a drift about as large as the least effect, the
effects of windows lie above it and below it in turn (`benchmarks.flapping`)."""

STILL = 3
"""Tests in a row that speak for the end of an alarm, when it ends."""


@dataclass(frozen=True)
class Policy:
    """What the user asked of alerts.

    Args:
        threshold: p-value at which an alarm starts, from the false-alarm budget.
        min_effect: nats per sample below which a window never alarms.
        resolve_after: steps in a row without a window that drifted, before an alarm may end.
        severity: the least effect, in nats per sample, of each severity.
        patience: steps without a window that drifted after which p-values above `LENIENT` end an alarm; one that starts
            no later than that after another has come back, and ends no other way. With 0 all alarms end so.
        calm: p-value above which a window speaks for the end of an alarm; the threshold, if that is larger.
        ease: share of the least effect below which a window speaks for the end.
    """

    threshold: float
    min_effect: float
    resolve_after: int
    severity: Mapping[str, float]
    patience: int = 0
    calm: float = CALM
    ease: float = EASE

    @property
    def still(self) -> int:
        """Tests in a row that must speak for the end of an alarm."""
        return min(STILL, self.resolve_after)

    @property
    def slight(self) -> float:
        """Nats per sample below which a window speaks for the end of an alarm, whatever its p-value; 0 for none."""
        return self.ease * self.min_effect

    def calm_after(self, settled: int) -> float:
        """P-value above which a window speaks for the end, so many steps after the last one that drifted."""
        return max(LENIENT if settled >= self.patience else self.calm, self.threshold)

    def drifted(self, p_value: float, effect: float) -> bool:
        """Whether one window is an alarm."""
        return p_value <= self.threshold and effect >= self.min_effect

    def quiet(self, p_value: float, effect: float, settled: int) -> bool:
        """Whether one window speaks for the end of an alarm."""
        return p_value > self.calm_after(settled) or self._is_slight(effect)

    def holds(self, effect: float) -> bool:
        """Whether the anytime alarm, while it is on, keeps the stream's alarm on."""
        return not self._is_slight(effect)

    def _is_slight(self, effect: float) -> bool:
        # Without a least effect none is too small: by chance every second one is less than nothing.
        return self.min_effect > 0.0 and effect < self.slight

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
        settled: steps since the last one that drifted, while an alarm is on.
        wary: after an alarm, steps for which a new one counts as the same drift come back; as it was when an alarm
            started, while that is on.
    """

    firing: bool = False
    severity: str = ""
    quiet: int = 0
    since_ms: int = 0
    reference: str = ""
    settled: int = 0
    wary: int = 0


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
    full: bool = True,
) -> tuple[PolicyState, Transition | None]:
    """One step of a stream: the results of every window size that is full.

    Args:
        policy: what the user asked for.
        state: before the step.
        results: of this step, at least one, ascending by the window's size.
        anytime: whether the anytime alarm is on; it is told with the longest window, and heeds the least effect.
        drifting: whether a window of another step was not quiet when it was tested last; then none is resolved.
        full: whether the results are of all sizes. Without the longest ones, which see best, none is resolved.

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
        transition = Transition("firing", severity, worst)
        if not state.firing:
            wary = min(state.wary, policy.patience)
            return PolicyState(True, severity, 0, worst.end_ms, worst.reference, wary=wary), transition
        stirred = replace(state, quiet=0, settled=0)
        if _rank(policy, severity) > _rank(policy, state.severity):
            return replace(stirred, severity=severity), transition
        return stirred, None
    if not state.firing:
        return (replace(state, wary=min(state.wary, policy.patience) - 1) if state.wary else state), None
    settled = state.settled + 1
    quiet = (
        (full or settled >= policy.patience)
        and not drifting
        and not (anytime and policy.holds(longest.effect_nats))
        and all(policy.quiet(each.p_value, each.effect_nats, settled) for each in results)
    )
    after = replace(state, settled=settled, quiet=state.quiet + 1 if quiet else 0)
    if after.quiet < policy.still or settled < (policy.patience if state.wary else policy.resolve_after):
        return after, None
    calmest = min(results, key=lambda result: result.p_value)
    return PolicyState(wary=policy.patience), Transition("resolved", state.severity, calmest)


def _rank(policy: Policy, severity: str) -> float:
    return policy.severity.get(severity, float("-inf"))
