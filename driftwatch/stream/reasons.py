"""Why an alarm is on, and why it is over, in words."""

from __future__ import annotations

from driftwatch.stream.alert import rfc3339
from driftwatch.stream.anytime import AnytimeState
from driftwatch.stream.policy import Policy, PolicyState
from driftwatch.stream.results import WindowResult


def why_on(before: PolicyState, after: PolicyState, window: WindowResult, bets: AnytimeState | None, place: str) -> str:
    """Of an alarm that starts or worsens.

    Args:
        before: state before the step.
        after: state after it.
        window: that is told.
        bets: of the anytime alarm; None without one.
        place: where the samples differ; empty where that is not told.
    """
    return "; ".join(filter(None, (_again(before, after), _watched(window, bets), window.explanation, place)))


def why_over(policy: Policy, before: PolicyState, window: WindowResult) -> str:
    """Of an alarm that ends.

    Args:
        policy: that ended it.
        before: state before the step.
        window: that is told.
    """
    settled = before.settled + 1
    patient = policy.is_over(settled, before.stirred_ms, window.end_ms)
    since = f" since {rfc3339(before.stirred_ms)}" if before.stirred_ms is not None else ""
    slight = policy.slight(patient=patient)
    words = (
        f"no window has drifted{since} ({settled} test{'s' * (settled > 1)}), and now all have "
        f"p > {policy.usual(patient=patient):.2g}{f' or less than {slight:.2g} nats/sample' if slight else ''}"
    )
    if before.reference == window.reference:
        return words
    return f"{words}; the alarm began by reference {before.reference}, which is not the present one"


def _again(before: PolicyState, after: PolicyState) -> str:
    """That it is a drift which has come back, where it starts an alarm."""
    if before.firing or before.stirred_ms is None or not after.back:
        return ""
    return f"again: the last alarm was resolved at {rfc3339(before.stirred_ms)}"


def _watched(window: WindowResult, bets: AnytimeState | None) -> str:
    """Why there is an alarm although the window raises none."""
    if window.drift or bets is None:
        return ""
    return f"samples surprise too much or too little, one by one (p = {bets.p_value:.1g} at any time)"
