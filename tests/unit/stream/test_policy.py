"""When an alarm fires and when it is resolved, with hysteresis."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.stream.policy import Policy, PolicyState, Transition, advance
from driftwatch.stream.results import WindowResult
from driftwatch.stream.state_codec import TestState, parse_state
from tests.windows import window_tested

POLICY = Policy(
    threshold=1e-4, min_effect=0.5, resolve_after=3, severity={"warning": 0.0, "critical": 5.0}, patience=20
)


def result(p_value: float, effect: float = 1.0, size: int = 50, end_ms: int = 1) -> WindowResult:
    drift = POLICY.drifted(p_value, effect)
    return window_tested(p_value, size, end_ms, effect_nats=effect, drift=drift).result


def run(*steps: WindowResult, policy: Policy = POLICY) -> list[Transition | None]:
    state, transitions = PolicyState(), []
    for step in steps:
        state, transition = advance(policy, state, [step])
        transitions.append(transition)
    return transitions


def states(*steps: WindowResult, policy: Policy = POLICY) -> list[str]:
    return [transition.state if transition else "" for transition in run(*steps, policy=policy)]


def steps_until_resolved(*steps: WindowResult, policy: Policy = POLICY) -> int:
    """Steps from the last of these to the resolution of the alarm that they start, if all is quiet afterwards."""
    return states(*steps, *[QUIET] * 100, policy=policy).index("resolved", len(steps)) - len(steps) + 1


QUIET, LOUD = result(0.5), result(1e-6)


def test_an_alarm_fires_once_and_is_resolved_after_three_quiet_steps() -> None:
    assert states(QUIET, LOUD, LOUD, QUIET, QUIET, QUIET, QUIET) == ["", "firing", "", "", "", "resolved", ""]


def test_a_loud_step_restarts_the_count() -> None:
    assert states(LOUD, QUIET, QUIET, LOUD, QUIET, QUIET, QUIET)[-1] == "resolved"
    assert "resolved" not in states(LOUD, QUIET, QUIET, LOUD, QUIET, QUIET)


@pytest.mark.parametrize("p_value", [1e-3, 0.02, 0.19])
def test_p_values_that_hover_around_the_threshold_are_one_alarm(p_value: float) -> None:
    """A drift that windows hardly detect used to raise several alarms."""
    hovering = [result(p_value)] * 5
    assert states(LOUD, *hovering, LOUD, *hovering, *[QUIET] * 3) == ["firing", *[""] * 13, "resolved"]
    assert "firing" not in states(*hovering)


def test_effects_that_hover_around_min_effect_are_one_alarm() -> None:
    """Each window below `min_effect` used to end an alarm, however certain the drift was."""
    below, far_below = result(1e-12, effect=0.3), result(1e-12, effect=0.1)
    assert states(LOUD, *[below] * 5, LOUD, *[below] * 5)[1:] == [""] * 11
    assert states(LOUD, *[far_below] * 3)[-1] == "resolved"
    still = states(LOUD, *[below] * 30)
    assert still.index("resolved") == POLICY.patience + POLICY.quiet_tests - 1, "the rest is too small to matter"


def test_without_min_effect_no_effect_is_too_small() -> None:
    policy = replace(POLICY, min_effect=0.0)
    assert "resolved" not in states(LOUD, *[result(1e-3, effect=-0.1)] * 5, policy=policy)
    state, _ = advance(policy, PolicyState(), [LOUD])
    for _ in range(5):
        state, _ = advance(policy, state, [result(0.5, effect=-0.1)], anytime=True)
    assert state.firing, "the anytime alarm keeps it on"


def test_p_values_that_stay_low_end_an_alarm_after_patience() -> None:
    low = result(0.05)
    assert states(LOUD, *[low] * 30).index("resolved") == POLICY.patience + POLICY.quiet_tests - 1
    assert "resolved" not in states(LOUD, *[result(0.005)] * 100)


def test_resolve_after_counts_from_the_last_window_that_drifted() -> None:
    """All of so many tests had to be quiet: of hundreds some never are, and the alarm stayed on."""
    policy = replace(POLICY, resolve_after=15)
    assert steps_until_resolved(LOUD, policy=policy) == 15
    assert steps_until_resolved(LOUD, *[QUIET] * 12, result(0.1), policy=policy) == 3
    assert steps_until_resolved(LOUD, *[QUIET] * 12, LOUD, policy=policy) == 15
    assert steps_until_resolved(LOUD, policy=replace(POLICY, resolve_after=1)) == 1


def test_an_alarm_that_comes_back_is_resolved_with_patience() -> None:
    first = [LOUD, *[QUIET] * 3]
    assert steps_until_resolved(*first, *[QUIET] * 5, LOUD) == POLICY.patience
    assert steps_until_resolved(*first, *[QUIET] * POLICY.patience, LOUD) == 3
    batches = [LOUD, *[QUIET] * 10] * 10
    assert states(*batches).count("firing") == 2, "it used to be ten alarms"


def test_patience_is_at_least_as_long_as_windows_by_time() -> None:
    """In a fast stream, patience by count ends before such a window is tested again."""
    policy = replace(POLICY, patience=2, patience_ms=1_000)
    quiet = [result(0.5, end_ms=each) for each in range(0, 3_000, 10)]
    low = [result(0.05, end_ms=each) for each in range(0, 3_000, 10)]
    assert states(result(1e-6, end_ms=0), *low, policy=policy).index("resolved") == 1 + 100 + POLICY.quiet_tests - 1
    again = result(1e-6, end_ms=900)
    assert states(result(1e-6, end_ms=0), *quiet[:90], again, *quiet[90:], policy=policy)[91:].index("resolved") == 101
    ahead = result(1e-6, end_ms=1 << 50)
    assert steps_until_resolved(LOUD, *[QUIET] * 3, ahead, policy=policy) == POLICY.quiet_tests, (
        "a single wrong clock, in an alarm that came back"
    )
    later = result(1e-6, end_ms=1_100)
    assert states(result(1e-6, end_ms=0), *quiet[:110], later, *quiet[110:], policy=policy)[111:].index("resolved") == 3


@given(
    st.lists(st.sampled_from([1e-6, 0.005, 0.1, 0.5]), max_size=80),
    st.lists(st.booleans(), min_size=80, max_size=80),
    st.integers(0, 80),
)
def test_a_restart_at_any_step_changes_no_decision(p_values: list[float], full: list[bool], stop: int) -> None:
    policy, decisions = replace(POLICY, patience=6), []
    state = again = PolicyState()
    for number, (p_value, whole) in enumerate(zip(p_values, full, strict=False)):
        if number == stop:
            again = parse_state(TestState("v", again).to_json(), "here").policy
        (state, one), (again, other) = (advance(policy, each, [result(p_value)], full=whole) for each in (state, again))
        decisions.append((one, other))
    assert all(one == other for one, other in decisions)


def test_nothing_is_resolved_before_the_longest_windows_are_full() -> None:
    state, _ = advance(POLICY, PolicyState(), [LOUD])
    for _ in range(POLICY.patience - 1):
        state, _ = advance(POLICY, state, [QUIET], full=False)
        assert state.firing
    assert not advance(POLICY, replace(state, quiet=2), [QUIET])[0].firing
    assert not advance(POLICY, replace(state, quiet=2), [QUIET], full=False)[0].firing, "but not for ever"


def test_a_threshold_above_the_limit_for_calm_replaces_it() -> None:
    policy, state = replace(POLICY, threshold=0.3), PolicyState(firing=True, severity="warning", quiet=2, settled=2)
    assert not advance(policy, state, [result(0.31)])[0].firing
    assert advance(policy, state, [result(0.29)])[0].firing


def test_small_effects_do_not_fire_however_certain() -> None:
    assert states(result(1e-12, effect=0.4)) == [""]


def test_worsening_is_reported_and_easing_is_not() -> None:
    transitions = run(LOUD, result(1e-6, effect=6.0), LOUD, result(1e-6, effect=7.0))
    assert [t and (t.state, t.severity) for t in transitions] == [
        ("firing", "warning"),
        ("firing", "critical"),
        None,
        None,
    ]


def test_the_smallest_p_value_of_all_sizes_decides() -> None:
    _, transition = advance(POLICY, PolicyState(), [result(0.3), result(1e-9, size=500)])
    assert transition is not None
    assert transition.window.size == 500
