"""Streams whose reference changes: no window mixes two, in any order of panes and wherever testing is interrupted."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.data.codecs import encode
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.sums import keep
from driftwatch.stream.alert import encode_alert
from driftwatch.stream.formats import NewerFormatError
from driftwatch.stream.log import Record
from driftwatch.stream.panes import Pane
from driftwatch.stream.policy import PolicyState
from driftwatch.stream.reading import Route
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.standards import Standard
from driftwatch.stream.state_codec import TestState, parse_state
from driftwatch.stream.test_stage import Tests, TestStage
from tests.standards import STEP, standards_of
from tests.synthetic import SCHEMA, shuffled_rows, waves

SIZES = [20, 50]
COUNT = 40
ENDED = ("settled", "stirred_ms", "back")
"""Fields about an alarm that is on or ended lately, which older daemons ignore."""

VERSIONS = ("one", "two", "three")
STREAMS = ("a", "b", "c")
STANDARDS = standards_of(SIZES, resolve_after=2, anytime_alpha=1e-3)

orders = st.lists(st.tuples(st.sampled_from(VERSIONS), st.integers(1, 9)), min_size=4, max_size=12)


@dataclass
class Shelf:
    """The loaded references; the first is the present one."""

    standards: Mapping[str, Standard]
    here: tuple[str, ...] = VERSIONS

    def find(self, stream: str, version: str | None) -> Standard | None:
        chosen = version or self.here[0]
        return self.standards[chosen] if stream in STREAMS and chosen in self.here else None


@dataclass
class Results:
    """All results of a series of stages, and the states that a later stage needs."""

    tests: Tests = field(default_factory=Tests)
    states: dict[str, Any] = field(default_factory=dict)

    def bytes(self) -> tuple[list[bytes], list[bytes], Any]:
        return [each.to_json() for each in self.tests.windows], [*map(encode_alert, self.tests.alerts)], self.states


@pytest.fixture(scope="module")
def shelf(reference: Reference) -> Shelf:
    """Three references that are the same but for their versions."""
    standard = STANDARDS.standard(reference)
    return Shelf({each: replace(standard, reference=replace(reference, version=each)) for each in VERSIONS})


@pytest.fixture(scope="module")
def panes(reference: Reference) -> list[Pane]:
    """A stream that drifts and returns."""
    samples = np.concatenate(
        [waves(120, seed=21), shuffled_rows(waves(100, seed=22)), waves(STEP * COUNT - 220, seed=23)]
    )
    return [
        Pane(
            "a",
            "",
            STEP,
            keep(scored.summary),
            i,
            i,
            "input",
            0,
            (i, 0),
            (i, STEP - 1),
            grades=scored.grades.tobytes(),
        )
        for i, scored in enumerate(Scorer(reference)(np.split(samples, COUNT)))
    ]


def ordered(panes: Sequence[Pane], order: Sequence[tuple[str, int]]) -> list[Pane]:
    """The panes, scored by references in turn."""
    turns = [version for version, length in order for _ in range(length)]
    return [replace(pane, reference=turns[i % len(turns)]) for i, pane in enumerate(panes)]


def run(shelf: Shelf, panes: Sequence[Pane], stops: Sequence[int] = (), at_once: int = 7) -> Results:
    """Test panes in stages that continue where the previous one was stopped, as the test role does."""
    results, start, rewind = Results(), 0, 0
    for stop in (*sorted(stops), len(panes)):
        stage = TestStage(shelf.find, tested=start, states=results.states)
        log = list(enumerate(panes))[start - rewind : stop]
        for first in range(0, len(log), at_once):
            stage.feed_all(log[first : first + at_once], results.tests)
        results.states |= results.tests.states
        start, rewind = stage.next_offset, stage.rewind
    return results


def expected(panes: Sequence[Pane]) -> list[tuple[str, int, int, int]]:
    """Reference, size, first and last pane of every window, from the definition of a window."""
    windows = []
    for end, newest in enumerate(panes):
        held, apart = [], 0
        for at in range(end, -1, -1):
            if panes[at].reference == newest.reference:
                held.append(at)
                apart = 0
            else:
                apart += STEP
            if apart >= SIZES[-1]:
                break
        windows += [(newest.reference, s, held[s // STEP - 1], end) for s in SIZES if len(held) * STEP >= s]
    return windows


@settings(max_examples=30, deadline=None)
@given(order=orders, stops=st.lists(st.integers(0, COUNT), max_size=4), at_once=st.integers(1, 15))
def test_windows_have_one_reference_each_and_do_not_depend_on_how_panes_are_tested(
    shelf: Shelf, panes: list[Pane], order: list[tuple[str, int]], stops: list[int], at_once: int
) -> None:
    log = ordered(panes, order)
    whole = run(shelf, log)
    found = [(each.reference, each.size, each.span.start_ms, each.end_ms) for each in whole.tests.windows]
    assert found == expected(log)
    assert run(shelf, log, stops, at_once).bytes() == whole.bytes()


@settings(max_examples=20, deadline=None)
@given(
    each=st.lists(orders, min_size=len(STREAMS), max_size=len(STREAMS)),
    turns=st.lists(st.sampled_from(STREAMS), min_size=COUNT, max_size=2 * COUNT),
    at_once=st.integers(2, 60),
)
def test_streams_tested_together_have_the_same_results_as_alone(
    shelf: Shelf, panes: list[Pane], each: list[list[tuple[str, int]]], turns: list[str], at_once: int
) -> None:
    alone = {
        stream: [replace(pane, stream=stream) for pane in ordered(panes, order)]
        for stream, order in zip(STREAMS, each, strict=True)
    }
    left = {stream: iter(log) for stream, log in alone.items()}
    log = [pane for stream in turns if (pane := next(left[stream], None)) is not None]
    together = run(shelf, log, at_once=at_once).tests
    for stream in STREAMS:
        own = run(shelf, [pane for pane in log if pane.stream == stream], at_once=1).tests
        assert [window for window in together.windows if window.stream == stream] == own.windows
        assert [alert for alert in together.alerts if alert.stream == stream] == own.alerts


def test_an_alarm_stays_on_over_a_switch_until_all_windows_of_the_new_reference_are_full(
    shelf: Shelf, panes: list[Pane]
) -> None:
    firing, resolved = run(shelf, ordered(panes, [("one", 25), ("two", 15)])).tests.alerts
    assert (firing.state, firing.reference[1]) == ("firing", "one")
    assert (resolved.state, resolved.reference[1]) == ("resolved", "two")
    # Five panes of the new reference fill its longest window; its shortest windows have long been quiet by then.
    assert resolved.window.end_ms == 25 + 5
    assert "the alarm was started by reference one" in resolved.explanation
    (same, undisturbed) = run(shelf, ordered(panes, [("one", COUNT)])).tests.alerts
    assert encode_alert(same) == encode_alert(firing)
    assert "reference" not in undisturbed.explanation


def test_the_history_of_a_reference_that_is_loaded_late_is_not_lost(shelf: Shelf, panes: list[Pane]) -> None:
    log = ordered(panes, [("one", 3), ("two", 1)])
    whole = run(shelf, log)
    stage = TestStage(shelf.find)
    results = Results()
    stage.feed_all(list(enumerate(log))[:21], results.tests)
    late = Shelf(shelf.standards, here=("one",))
    resumed = TestStage(late.find, tested=21, states=results.tests.states)
    resumed.feed_all(list(enumerate(log))[21 - stage.rewind : 21], Tests())
    assert not resumed.lacks(log[22])
    assert resumed.lacks(log[23])
    late.here = VERSIONS
    resumed.feed_all(list(enumerate(log))[21:], results.tests)
    assert results.bytes()[:2] == whole.bytes()[:2]


def test_a_stream_that_is_removed_is_dropped_and_can_come_back(shelf: Shelf, panes: list[Pane]) -> None:
    there = [True]
    stage = TestStage(lambda stream, version: shelf.find(stream, version) if there[0] else None)
    log = list(enumerate(ordered(panes, [("one", COUNT)])))
    tests = Tests()
    stage.feed_all(log[:10], tests)
    there[0] = False
    stage.feed_all(log[10:12], tests)
    assert (stage.streams, stage.rewind, stage.next_offset) == (frozenset(), 0, 12)
    there[0] = True
    stage.feed_all(log[12:20], tests)
    assert [each.span.start_ms for each in tests.windows if each.size == SIZES[0]] == [*range(9), *range(12, 19)]


def test_a_state_is_written_in_the_old_format_if_that_suffices(shelf: Shelf, panes: list[Pane]) -> None:
    (state,) = run(shelf, ordered(panes, [("one", COUNT)])).states.values()
    assert state.keys() == {"reference", "firing", "severity", "quiet", "since_ms", "anytime", *ENDED}
    (switched,) = run(shelf, ordered(panes, [("one", 19), ("two", 3)])[:22]).states.values()
    assert (switched["format"], switched["reference"], switched["began_by"]) == (2, "two", "one")
    assert switched["others"].keys() == {"one"}


@given(
    st.sampled_from(["", *VERSIONS]),
    st.builds(
        PolicyState,
        st.just(True),
        st.just("warning"),
        st.integers(0, 5),
        st.integers(0, 9),
        st.just("one"),
        st.integers(0, 5),
        st.none() | st.integers(0, 9),
        st.booleans(),
    ).map(lambda policy: policy if policy.stirred_ms is not None else replace(policy, settled=0, back=False)),
    st.sets(st.sampled_from(VERSIONS)),
)
def test_states_are_decoded_unchanged(shelf: Shelf, newest: str, policy: PolicyState, betting: set[str]) -> None:
    alarm = shelf.standards["one"].alarm
    assert alarm is not None
    state = TestState(newest or "one", policy, {version: alarm.begin() for version in betting})
    again = parse_state(state.to_json(), "here")
    assert (again.reference, again.policy) == (state.reference, state.policy)
    assert {version: each.to_json() for version, each in again.bets.items()} == {
        version: each.to_json() for version, each in state.bets.items()
    }


def test_a_newer_state_is_refused_with_the_remedy() -> None:
    with pytest.raises(NewerFormatError, match=r"state of a: the state of a stream has format 3.*install"):
        parse_state({**TestState().to_json(), "format": 3}, "the state of a")


def test_open_panes_are_closed_at_a_switch_and_every_sample_is_scored_once(reference: Reference) -> None:
    batch = 7
    sent = [encode(part, SCHEMA, "npy") for part in np.split(waves(20 * batch, seed=5), 20)]
    log = [
        Record("input", 0, i, i, None, value, (*headers.items(), ("driftwatch-stream", b"ab"[i % 2 : i % 2 + 1])))
        for i, (value, headers) in enumerate(sent)
    ]
    scorers = [Scorer(replace(reference, version=version)) for version in VERSIONS]
    plans = [
        {"a": Route("a", scorers[0]), "b": Route("b", scorers[0])},
        {"a": Route("a", scorers[1]), "b": Route("b", scorers[0])},
        {"a": Route("a", scorers[1])},
    ]
    now = [plans[0]]
    stage = ScoreStage(plans[0], STEP, renew=lambda: now[0])
    came = []
    for number, plan in enumerate(plans):
        now[0] = plan
        queue = deque(log[6 * number : 6 * number + 6])
        while queue:
            came.append(stage.work(queue))
    panes = [pane for work in came for pane in work.panes]
    # Three messages of seven samples each leave one waiting sample in each stream.
    assert [(pane.stream, pane.reference, pane.n) for pane in panes] == [
        ("a", "one", 10),
        ("b", "one", 10),
        ("a", "one", 10),
        ("b", "one", 10),
        ("a", "one", 1),
        ("a", "two", 10),
        ("b", "one", 10),
        ("a", "two", 10),
        ("b", "one", 10),
        ("a", "two", 10),
        ("a", "two", 10),
    ]
    assert came[-1].positions["input", 0].marks.keys() == {"a"}
    assert [letter.error.reason for letter in came[-1].dead] == ["unknown_stream"] * 3
    rows = [(offset, row) for offset in range(0, 18, 2) for row in range(batch)]
    ends = [(pane.first, pane.last) for pane in panes if pane.stream == "a"]
    places = [(rows.index(first), rows.index(last)) for first, last in ends]
    assert places == [(0, 9), (10, 19), (20, 20), (21, 30), (31, 40), (41, 50), (51, 60)]
