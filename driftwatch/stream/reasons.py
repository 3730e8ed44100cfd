"""Why an alarm is active, and why it is over, in words."""

from __future__ import annotations

from driftwatch.stream.alert import rfc3339
from driftwatch.stream.anytime import AnytimeState
from driftwatch.stream.policy import Policy, PolicyState
from driftwatch.stream.results import WindowResult


def why_on(before: PolicyState, after: PolicyState, window: WindowResult, bets: AnytimeState | None, place: str) -> str:
    """The explanation of an alarm that starts or worsens.

    Args:
        before: state before the step.
        after: state after it.
        window: that is reported.
        bets: of the anytime alarm; None without one.
        place: where in the image the samples differ; empty where that is unknown.
    """
    return "; ".join(
        filter(None, (_recurrence(before, after), _anytime_reason(window, bets), window.explanation, place))
    )


def why_over(policy: Policy, before: PolicyState, window: WindowResult) -> str:
    """The explanation of an alarm that ends.

    Args:
        policy: that ended it.
        before: state before the step.
        window: that is reported.
    """
    settled = before.settled + 1
    patient = policy.is_over(settled, before.stirred_ms, window.end_ms)
    since = f" since {rfc3339(before.stirred_ms)}" if before.stirred_ms is not None else ""
    slight = policy.quiet_below(patient=patient)
    words = (
        f"no window has drifted{since} ({settled} test{'s' * (settled > 1)}), and now all have "
        f"p > {policy.quiet_above(patient=patient):.2g}{f' or less than {slight:.2g} nats/sample' if slight else ''}"
    )
    if before.reference == window.reference:
        return words
    return f"{words}; the alarm was started by reference {before.reference}, which is no longer in use"


def _recurrence(before: PolicyState, after: PolicyState) -> str:
    """Says that a drift has come back, where it starts an alarm."""
    if before.firing or before.stirred_ms is None or not after.back:
        return ""
    return f"again: the last alarm was resolved at {rfc3339(before.stirred_ms)}"


def _anytime_reason(window: WindowResult, bets: AnytimeState | None) -> str:
    """The anytime alarm's reason, where the window itself raises no alarm."""
    if window.drift or bets is None:
        return ""
    return f"single samples surprise more, or less, than they should (anytime p = {bets.p_value:.1g})"
