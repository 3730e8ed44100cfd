"""When a stream's alarm fires and when it is resolved: a small state machine over window results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from driftwatch.stream.results import WindowResult

CALM = 0.2
"""P-value above which a window counts as quiet. Under a drift that windows barely detect, p-values wander between the
threshold and 0.1, so a window that is merely not significant is no sign that the drift is over (`benchmarks.flapping`).
"""

LENIENT = 0.01
"""The same once patience is over, so that an alarm ends even where p-values stay low for another reason."""

EASE = 0.25
"""Share of the least effect below which a window counts as quiet. If a drift is about as large as the least effect, the
effects of its windows alternate around it: a share of a half gave 1.2 to 1.9 alerts for one drift, a quarter gave 1.0
to 1.25 (`benchmarks.flapping`). Once patience is over, the whole least effect counts: what is left is too small to
matter."""

STILL = 3
"""Consecutive quiet tests after which an alarm may end."""


@dataclass(frozen=True)
class Policy:
    """What becomes an alert, as configured.

    Args:
        threshold: p-value at which an alarm starts, from the false-alarm budget.
        min_effect: nats per sample below which a window never alarms.
        resolve_after: consecutive steps without a drifting window before an alarm may end.
        severity: the least effect, in nats per sample, of each severity.
        patience: steps without a drifting window after which quiet is judged more leniently. An alarm that starts
            sooner than that after another ended has come back, and does not end before. 0 applies neither.
        patience_ms: the least time that patience lasts, milliseconds of event time.
        calm: p-value above which a window is quiet; the threshold, if that is larger.
        ease: share of the least effect below which a window is quiet.
    """

    threshold: float
    min_effect: float
    resolve_after: int
    severity: Mapping[str, float]
    patience: int = 0
    patience_ms: int = 0
    calm: float = CALM
    ease: float = EASE

    @property
    def quiet_tests(self) -> int:
        """Consecutive tests that must be quiet for an alarm to end."""
        return min(STILL, self.resolve_after)

    def is_over(self, settled: int, stirred_ms: int | None, now_ms: int) -> bool:
        """Whether patience is over, `settled` steps after an event at `stirred_ms` (None where that is unknown)."""
        # Long before counts like long after: one sample from a wrong clock must not keep an alarm active.
        long_ago = stirred_ms is None or abs(now_ms - stirred_ms) >= self.patience_ms
        return settled >= self.patience and long_ago

    def quiet_above(self, *, patient: bool) -> float:
        """P-value above which a window is quiet, before patience is over or after."""
        return max(LENIENT if patient else self.calm, self.threshold)

    def quiet_below(self, *, patient: bool) -> float:
        """Nats per sample below which a window is quiet whatever its p-value, likewise; 0 for none."""
        return self.min_effect * (1.0 if patient else self.ease)

    def drifted(self, p_value: float, effect: float) -> bool:
        """Whether one window alarms."""
        return p_value <= self.threshold and effect >= self.min_effect

    def quiet(self, p_value: float, effect: float, *, patient: bool) -> bool:
        """Whether one window is quiet, that is, suggests that the alarm can end."""
        return p_value > self.quiet_above(patient=patient) or self.is_slight(effect, patient=patient)

    def is_slight(self, effect: float, *, patient: bool) -> bool:
        """Whether an effect is too small to keep an alarm active."""
        # Without a least effect nothing is slight: debiased effects are negative half of the time by chance.
        return self.min_effect > 0.0 and effect < self.quiet_below(patient=patient)

    def severity_of(self, effect: float) -> str:
        """The highest severity whose least effect is reached; the lowest one if none is."""
        ranked = sorted(self.severity.items(), key=lambda item: item[1])
        reached = [name for name, least in ranked if effect >= least]
        return reached[-1] if reached else ranked[0][0]


@dataclass(frozen=True)
class PolicyState:
    """What the policy remembers of a stream between steps.

    Args:
        firing: whether an alarm is active.
        severity: of the alarm as last announced.
        quiet: number of consecutive quiet steps up to the last one.
        since_ms: event time at which the alarm started.
        reference: version of the reference that started it.
        settled: steps since the last one that drifted, while an alarm is active; else since the last alarm ended.
        stirred_ms: event time of that step; None if there was none, or if it no longer matters.
        back: whether the active alarm has come back.
    """

    firing: bool = False
    severity: str = ""
    quiet: int = 0
    since_ms: int = 0
    reference: str = ""
    settled: int = 0
    stirred_ms: int | None = None
    back: bool = False


@dataclass(frozen=True)
class Transition:
    """An announcement: a stream starts firing, fires more severely, or is resolved."""

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
    """Advance a stream by one step: the results of every window size that is full.

    Args:
        policy: as configured.
        state: before the step.
        results: of this step, at least one, in ascending order of window size.
        anytime: whether the anytime alarm is active. It is reported with the longest window, and respects the least
            effect.
        drifting: whether a window of another step was not quiet when last tested; this prevents resolving.
        full: whether all sizes have results. Without the longest windows, which detect best, nothing is resolved.

    Returns:
        The state after the step, and the announcement, if any.
    """
    now_ms, longest = max(result.end_ms for result in results), results[-1]
    alarming = [result for result in results if result.drift]
    if anytime and not alarming and longest.effect_nats >= policy.min_effect:
        alarming = [longest]
    if alarming:
        return _stir(policy, state, alarming, now_ms)
    if not state.firing and state.stirred_ms is None:
        return state, None
    settled = state.settled + 1
    patient = policy.is_over(settled, state.stirred_ms, now_ms)
    if not state.firing:
        return PolicyState() if patient else replace(state, settled=settled), None
    quiet = (
        (full or patient)
        and not drifting
        and not (anytime and not policy.is_slight(longest.effect_nats, patient=patient))
        and all(policy.quiet(each.p_value, each.effect_nats, patient=patient) for each in results)
    )
    after = replace(state, settled=settled, quiet=state.quiet + 1 if quiet else 0)
    if after.quiet < policy.quiet_tests or settled < policy.resolve_after or (state.back and not patient):
        return after, None
    calmest = min(results, key=lambda result: result.p_value)
    return PolicyState(stirred_ms=now_ms), Transition("resolved", state.severity, calmest)


def _stir(
    policy: Policy, state: PolicyState, alarming: Sequence[WindowResult], now_ms: int
) -> tuple[PolicyState, Transition | None]:
    """A step in which some windows alarm."""
    worst = min(alarming, key=lambda result: result.p_value)
    severity = policy.severity_of(max(result.effect_nats for result in alarming))
    transition = Transition("firing", severity, worst)
    if not state.firing:
        back = state.stirred_ms is not None and not policy.is_over(state.settled, state.stirred_ms, now_ms)
        return PolicyState(True, severity, 0, worst.end_ms, worst.reference, stirred_ms=now_ms, back=back), transition
    stirred = replace(state, quiet=0, settled=0, stirred_ms=max(now_ms, state.stirred_ms or now_ms))
    if _rank(policy, severity) > _rank(policy, state.severity):
        return replace(stirred, severity=severity), transition
    return stirred, None


def _rank(policy: Policy, severity: str) -> float:
    return policy.severity.get(severity, float("-inf"))
