"""Windows with a real reference: what fires, what is resolved, and that interruptions change nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.sums import keep
from driftwatch.stream.alert import decode_alert, encode_alert, rfc3339
from driftwatch.stream.events import BetsMade
from driftwatch.stream.panes import Pane
from driftwatch.stream.standards import Standard
from driftwatch.stream.switching import FindStandard
from driftwatch.stream.test_stage import Tests, TestStage
from driftwatch.stream.windows import StreamTester
from tests.standards import STEP, standards_of
from tests.synthetic import shuffled_rows, waves

STANDARDS = standards_of([20, 100], severity={"warning": 0.0, "critical": 50.0}, anytime_alpha=1e-3)


def panes_of(reference: Reference, samples: np.ndarray) -> list[Pane]:
    cut = [samples[start : start + STEP] for start in range(0, len(samples), STEP)]
    return [
        Pane(
            "a",
            reference.version,
            STEP,
            keep(scored.summary),
            1_000 * i,
            1_000 * i + 9,
            "input",
            0,
            (i, 0),
            (i, STEP - 1),
            grades=scored.grades.tobytes(),
        )
        for i, scored in enumerate(Scorer(reference)(cut))
    ]


@pytest.fixture(scope="module")
def panes(reference: Reference) -> list[Pane]:
    return panes_of(
        reference, np.concatenate([waves(600, seed=21), shuffled_rows(waves(200, seed=22)), waves(400, seed=23)])
    )


def standards(*references: Reference) -> FindStandard:
    """Finds the standards of stream ``a``, whose present reference is the first one."""

    def find(stream: str, version: str | None) -> Standard | None:
        known = {each.version: each for each in references} if stream == "a" else {}
        present = references[0].version
        return STANDARDS.standard(known[version or present]) if (version or present) in known else None

    return find


def run(reference: Reference, panes: list[Pane], *stops: int) -> tuple[Tests, TestStage]:
    """All results over several stages, each continuing where the previous one was stopped, as the test role does."""
    find = standards(reference)
    whole, stage = Tests(), TestStage(find)
    states: dict[str, object] = {}
    start = 0
    for stop in (*stops, len(panes)):
        for offset in range(start, stop):
            stage.feed(offset, panes[offset], whole)
        states |= whole.states
        start = stage.next_offset
        if stop < len(panes):
            rewound = start - stage.rewind
            stage = TestStage(find, tested=start, states=states)  # type: ignore[arg-type]
            for offset in range(rewound, start):
                stage.feed(offset, panes[offset], Tests())
    return whole, stage


def test_an_alarm_fires_soon_after_a_drift_and_is_resolved_after_it(reference: Reference, panes: list[Pane]) -> None:
    whole, _ = run(reference, panes)
    assert whole.alerts[0].state == "firing"
    assert whole.alerts[-1].state == "resolved"
    first, last = whole.alerts[0].window.offsets[0].last, whole.alerts[-1].window.offsets[0].last
    assert 60 <= first < 65
    # The longest window holds samples of the drift for ten panes, and must then look like the reference.
    assert 90 <= last < 100


def test_alerts_say_why_an_alarm_is_over_and_if_a_drift_has_come_back(reference: Reference, panes: list[Pane]) -> None:
    tester = StreamTester("a", STANDARDS.standard(reference))
    tester.policy = replace(tester.policy, min_effect=0.5)
    tester.use_standard(replace(tester.standard, policy=tester.policy, alarm=None))
    alerts, drifted = [], []
    for i, pane in enumerate([*panes[:100], *panes[60:120]]):
        outcome = tester.feed(pane)
        alerts += [(i, alert) for alert in outcome.alerts]
        drifted += [i for window in outcome.windows if window.drift]
    over, resolved = next(each for each in alerts if each[1].state == "resolved")
    tests = over - max(i for i in drifted if i < over)
    assert resolved.explanation == (
        f"no window has drifted since {rfc3339(panes[over - tests].end_ms)} ({tests} tests), "
        "and now all have p > 0.2 or less than 0.12 nats/sample"
    )
    first, again = alerts[0], next(each for each in alerts if each[0] > over)
    assert not first[1].explanation.startswith("again")
    assert again[1].explanation.startswith(f"again: the last alarm was resolved at {rfc3339(resolved.end_ms)}; ")


@pytest.mark.parametrize("stops", [(1,), (30, 61), (63, 64, 82), (5, 75, 100)])
def test_restarts_change_no_result(reference: Reference, panes: list[Pane], stops: tuple[int, ...]) -> None:
    undisturbed, _ = run(reference, panes)
    disturbed, _ = run(reference, panes, *stops)
    assert [encode_alert(alert) for alert in disturbed.alerts] == [encode_alert(alert) for alert in undisturbed.alerts]
    assert [each.to_json() for each in disturbed.windows] == [each.to_json() for each in undisturbed.windows]


@pytest.mark.parametrize("at_once", [2, 7, 50, 1_000])
def test_feeding_many_panes_at_once_changes_no_result(reference: Reference, panes: list[Pane], at_once: int) -> None:
    one_by_one, _ = run(reference, panes)
    whole, stage = Tests(), TestStage(standards(reference))
    numbered = list(enumerate(panes))
    for start in range(0, len(panes), at_once):
        stage.feed_all(numbered[start : start + at_once], whole)
    assert [encode_alert(alert) for alert in whole.alerts] == [encode_alert(alert) for alert in one_by_one.alerts]
    assert [each.to_json() for each in whole.windows] == [each.to_json() for each in one_by_one.windows]
    assert whole.states == one_by_one.states


def test_the_rewind_is_as_long_as_the_longest_window(reference: Reference, panes: list[Pane]) -> None:
    _, stage = run(reference, panes)
    assert stage.rewind == 100 // STEP


def test_a_window_is_tested_once_it_is_full(reference: Reference, panes: list[Pane]) -> None:
    tester: StreamTester = StreamTester("a", STANDARDS.standard(reference))
    sizes = [[window.size for window in tester.feed(pane).windows] for pane in panes[:12]]
    assert sizes == [[], *[[20]] * 8, *[[20, 100]] * 3]


def test_an_alert_is_decoded_unchanged(reference: Reference, panes: list[Pane]) -> None:
    for alert in run(reference, panes)[0].alerts:
        assert decode_alert(encode_alert(alert)) == alert


def test_the_interval_contains_the_effect(reference: Reference, panes: list[Pane]) -> None:
    for alert in run(reference, panes)[0].alerts:
        assert alert.effect.low < alert.effect.nats < alert.effect.high


def test_the_anytime_alarm_fires_without_any_window_and_lasts_for_the_longest_window(
    reference: Reference, panes: list[Pane]
) -> None:
    tester = StreamTester("a", STANDARDS.standard(reference))
    tester.policy = replace(tester.policy, threshold=0.0)
    alerts = [(i, alert) for i, pane in enumerate(panes) for alert in tester.feed(pane).alerts]
    # In between, alerts may report a higher severity.
    assert [alert.state for _, alert in alerts] == ["firing"] * (len(alerts) - 1) + ["resolved"]
    (fired, firing), (resolved, _) = alerts[0], alerts[-1]
    assert 60 <= fired < 80
    # The drift ends at pane 80; the alarm lasts for the longest window, and until that looks like the reference.
    assert 80 < resolved < 80 + 10 + 10
    last = firing.detectors[-1]
    assert last.name == "martingale"
    assert last.statistic >= np.log(1e3)
    assert last.p_value == pytest.approx(np.exp(-last.statistic))
    assert "single samples surprise" in firing.explanation
    assert decode_alert(encode_alert(firing)) == firing


def test_the_anytime_alarm_respects_min_effect(reference: Reference, panes: list[Pane]) -> None:
    tester = StreamTester("a", STANDARDS.standard(reference))
    tester.policy = replace(tester.policy, threshold=0.0, min_effect=1e6)
    assert not any(tester.feed(pane).alerts for pane in panes)


def test_the_anytime_alarm_can_be_removed_and_added_while_a_stream_is_tested(
    reference: Reference, panes: list[Pane]
) -> None:
    standard = STANDARDS.standard(reference)
    quiet = replace(standard, policy=replace(standard.policy, threshold=0.0, calm=0.0, patience=1 << 30))
    tester = StreamTester("a", quiet)
    fired = next(i for i, pane in enumerate(panes) if tester.feed(pane).alerts)
    assert tester.bets is not None
    assert tester.bets.held > 0
    tester.use_standard(replace(quiet, alarm=None))
    assert (tester.bets, tester.log_wealth) == (None, None)
    for pane in panes[fired + 1 : fired + 1 + quiet.policy.resolve_after]:
        tester.feed(pane)
    assert not tester.firing
    tester.use_standard(quiet)
    assert tester.log_wealth == 0.0
    assert any(tester.feed(pane).alerts for pane in panes[60:80])


def test_for_panes_tested_together_the_wealth_is_reported_once(reference: Reference, panes: list[Pane]) -> None:
    one_by_one, together = Tests(), Tests()
    for stage, tests, runs in (
        (TestStage(standards(reference)), one_by_one, [[each] for each in enumerate(panes[:30])]),
        (TestStage(standards(reference)), together, [list(enumerate(panes[:30]))]),
    ):
        for each in runs:
            stage.feed_all(each, tests)
    reported = [[event for event in tests.events if isinstance(event, BetsMade)] for tests in (one_by_one, together)]
    assert len(reported[0]) == 30
    assert reported[1] == reported[0][-1:]


def test_no_window_spans_a_gap_and_an_interruption_after_it_changes_nothing(
    reference: Reference, panes: list[Pane]
) -> None:
    find = standards(reference)
    whole, stage = Tests(), TestStage(find)
    stage.feed_all(list(enumerate(panes[:15])), whole)
    stage.restart_windows(15, ("input", 1))
    assert stage.rewind == 11, "a gap in another partition does not affect windows"
    stage.restart_windows(16, ("input", 0))
    assert (stage.rewind, stage.next_offset) == (0, 17)
    stage.feed_all(list(enumerate(panes[15:17], 17)), whole)
    again = TestStage(find, tested=stage.next_offset, states={"a": whole.states["a"]})
    for offset in range(stage.next_offset - stage.rewind, stage.next_offset):
        again.feed(offset, panes[offset - 2], whole)
    both = [Tests(), Tests()]
    for each, tests in zip((stage, again), both, strict=True):
        each.feed_all(list(enumerate(panes[17:40], 19)), tests)
    assert both[0].windows == both[1].windows
    for result in whole.windows + both[0].windows:
        (span,) = result.span.offsets
        assert span.last < 15 or span.first >= 15, "a window spans the gap"
