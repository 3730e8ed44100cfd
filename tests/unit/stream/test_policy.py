"""Firing and resolved, with hysteresis."""

from __future__ import annotations

from dataclasses import replace

from driftwatch.stream.alert import WindowSpan
from driftwatch.stream.policy import Policy, PolicyState, Transition, advance
from driftwatch.stream.results import WindowResult

POLICY = Policy(threshold=1e-4, min_effect=0.5, resolve_after=3, severity={"warning": 0.0, "critical": 5.0})


def result(p_value: float, effect: float = 1.0, size: int = 50) -> WindowResult:
    return WindowResult(
        stream="a",
        reference="v",
        span=WindowSpan(size, size, 0, 1, ()),
        statistics={},
        p_values={"combined": p_value},
        parts={},
        geometry={},
        moments={},
        effect_nats=effect,
        drift=POLICY.drifted(p_value, effect),
        explanation="",
    )


def run(*steps: WindowResult) -> list[Transition | None]:
    state, told = PolicyState(), []
    for step in steps:
        state, transition = advance(POLICY, state, [step])
        told.append(transition)
    return told


def states(*steps: WindowResult) -> list[str]:
    return [transition.state if transition else "" for transition in run(*steps)]


QUIET, LOUD = result(0.5), result(1e-6)


def test_fires_once_and_resolves_after_three_quiet_steps() -> None:
    assert states(QUIET, LOUD, LOUD, QUIET, QUIET, QUIET, QUIET) == ["", "firing", "", "", "", "resolved", ""]


def test_a_loud_step_starts_the_count_anew() -> None:
    assert states(LOUD, QUIET, QUIET, LOUD, QUIET, QUIET, QUIET)[-1] == "resolved"
    assert "resolved" not in states(LOUD, QUIET, QUIET, LOUD, QUIET, QUIET)


def test_what_hovers_about_the_threshold_is_one_alarm() -> None:
    """P-values as of a drift that grows slowly: it was two alarms."""
    hovering = result(1e-3)
    assert states(LOUD, *[hovering] * 5, LOUD, *[hovering] * 5, *[QUIET] * 3) == ["firing", *[""] * 13, "resolved"]
    assert "firing" not in states(*[hovering] * 5)


def test_small_effects_hold_no_alarm() -> None:
    assert states(LOUD, *[result(1e-3, effect=0.4)] * 3)[-1] == "resolved"


def test_a_threshold_above_calm_is_the_limit_of_both() -> None:
    policy, state = replace(POLICY, threshold=0.1), PolicyState(firing=True, severity="warning", quiet=2)
    assert advance(policy, state, [result(0.11)])[0] == PolicyState()
    assert advance(policy, state, [result(0.09)])[0].firing


def test_small_effects_do_not_fire_however_sure() -> None:
    assert states(result(1e-12, effect=0.4)) == [""]


def test_worsening_is_told_and_easing_is_not() -> None:
    told = run(LOUD, result(1e-6, effect=6.0), LOUD, result(1e-6, effect=7.0))
    assert [t and (t.state, t.severity) for t in told] == [
        ("firing", "warning"),
        ("firing", "critical"),
        None,
        None,
    ]


def test_the_least_p_value_of_all_sizes_decides() -> None:
    _, transition = advance(POLICY, PolicyState(), [result(0.3), result(1e-9, size=500)])
    assert transition is not None
    assert transition.window.size == 500
