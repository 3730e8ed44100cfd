"""Windows by event time: which panes they hold, that restarts change nothing, and when idle partitions are ignored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.errors import SourceError
from driftwatch.reference.loading import load_reference
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.sums import keep
from driftwatch.stream.alert import decode_alert, encode_alert
from driftwatch.stream.event_clock import EventClock
from driftwatch.stream.events import NotTested
from driftwatch.stream.log import Record
from driftwatch.stream.pane_builder import PaneBuilder
from driftwatch.stream.pane_codec import decode_pane, encode_pane
from driftwatch.stream.panes import Pane, RawPane, join_panes, pane_of
from driftwatch.stream.policy import CALM, LENIENT, PolicyState
from driftwatch.stream.positions import Position, parse_position
from driftwatch.stream.slices import Slices
from driftwatch.stream.standards import Standards
from driftwatch.stream.test_stage import Tests, TestStage
from driftwatch.stream.time_windows import TimeRule, TimeSize, TimeWindows
from driftwatch.stream.windows import StreamTester
from tests.standards import STEP, standards_of
from tests.synthetic import shuffled_rows, waves

TICK_MS = 1_000
RULE = TimeRule((TimeSize("10s", 10_000), TimeSize("30s", 30_000)), TICK_MS, out_of_order_ms=2_000, budget=1e6)


def new_standards() -> Standards:
    return standards_of([20, 100], severity={"warning": 0.0, "critical": 50.0}, by_time=RULE)


STANDARDS = new_standards()
EVERY_MS = 120
"""Event time between consecutive samples."""


def log_of(reference: Reference, samples: np.ndarray, partitions: int = 2) -> list[Pane]:
    """The panes log of samples that alternate between partitions, slightly out of order."""
    rng = np.random.default_rng(0)
    scorer, builders = Scorer(reference), [PaneBuilder(("in", p), STEP, None, TICK_MS) for p in range(partitions)]
    raws: list[RawPane] = []
    for number, sample in enumerate(samples):
        partition = number % partitions
        time_ms = 1_000_000 + EVERY_MS * number + int(rng.integers(-300, 300))
        record = Record("in", partition, number // partitions, time_ms, None, b"")
        raws += builders[partition].add(record, "a", sample[None], np.zeros(1, dtype=np.intp))
    scored = scorer([raw.samples for raw in raws])
    panes = [pane_of(raw, reference.version, each) for raw, each in zip(raws, scored, strict=True)]
    return [replace(decode_pane(encode_pane(pane)), logged_ms=pane.end_ms + 500) for pane in panes]


@pytest.fixture(scope="module")
def log(reference: Reference) -> list[Pane]:
    parts = waves(500, seed=21), shuffled_rows(waves(250, seed=22)), waves(500, seed=23)
    return log_of(reference, np.concatenate(parts))


def run(
    reference: Reference, log: list[Pane], *stops: int, at_once: int = 1, standards: Standards = STANDARDS
) -> Tests:
    """All results over several stages, each continuing where the previous one was stopped, as the test role does."""
    make = lambda stream, version: standards.standard(reference)  # noqa: E731
    whole, stage, start = Tests(), TestStage(make), 0
    for stop in (*stops, len(log)):
        for first in range(start, stop, at_once):
            last = min(first + at_once, stop)
            stage.feed_all([(offset, log[offset]) for offset in range(first, last)], whole)
        kept, start = orjson.loads(orjson.dumps(whole.states)), stage.next_offset
        rewound = start - stage.rewind
        stage = TestStage(make, tested=start, states=kept)
        for offset in range(rewound, start):
            stage.feed(offset, log[offset], Tests())
    return whole


def encoded(tests: Tests) -> tuple[list[bytes], list[bytes]]:
    return [each.to_json() for each in tests.windows], [encode_alert(each) for each in tests.alerts]  # type: ignore[arg-type]


def test_results_are_the_same_with_the_null_in_the_bundle_to_the_last_bit(
    timed_bundle: Path, reference: Reference, log: list[Pane], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(reference, log)
    assert {each.size for each in expected.windows} == {20, 100, "10s", "30s"}
    assert {each.state for each in expected.alerts} == {"firing", "resolved"}  # type: ignore[union-attr]
    held = replace(load_reference(timed_bundle), version=reference.version)
    monkeypatch.setattr("driftwatch.reference.reference.simulate_null", None)
    assert encoded(run(held, log, standards=new_standards())) == encoded(expected)


def test_windows_hold_the_panes_that_end_within_them(reference: Reference, log: list[Pane]) -> None:
    windows = [each for each in run(reference, log).windows if each.size == "10s"]
    assert len(windows) > 100
    ends = [each.span.end_ms // TICK_MS for each in windows]
    assert ends == sorted(set(ends))
    for each in windows[15:]:
        upto = (each.span.end_ms // TICK_MS + 1) * TICK_MS
        held = [pane for pane in log if upto - 10_000 <= pane.end_ms < upto]
        assert each.span.samples == sum(pane.n for pane in held)
        assert each.span.samples == pytest.approx(10_000 / EVERY_MS, abs=12)


def test_a_drift_is_detected_by_time_and_resolved(reference: Reference, log: list[Pane]) -> None:
    whole = run(reference, log)
    alone = [each for each in whole.windows if each.size == "10s" and each.drift]
    assert alone
    begins = 1_000_000 + 500 * EVERY_MS
    assert begins < alone[0].end_ms < begins + 8_000
    assert [alert.state for alert in whole.alerts][:: len(whole.alerts) - 1] == ["firing", "resolved"]
    for alert in whole.alerts:
        assert decode_alert(encode_alert(alert)) == alert  # type: ignore[arg-type]


def test_patience_by_count_ends_no_alarm_that_windows_by_time_keep_on(reference: Reference, log: list[Pane]) -> None:
    """In a fast stream it is over before the next of these windows is tested."""
    tester = StreamTester("a", STANDARDS.standard(reference))
    assert tester.policy.patience_ms == 3 * 30_000
    tester.policy = replace(tester.policy, resolve_after=10_000, patience=1)
    tester.state = PolicyState(firing=True, severity="warning", settled=100, stirred_ms=1_000_000)
    newest: dict[int | str, float] = {}
    seen = set[bool]()
    for pane in log[:60]:
        newest |= {each.size: each.p_value for each in tester.feed(pane).windows}
        assert tester.by_time is not None
        assert tester.by_time.drifting == {size.name for size in RULE.sizes if newest.get(size.name, 1.0) <= CALM}
        seen.update(LENIENT < newest.get(size.name, 1.0) <= CALM for size in RULE.sizes)
    assert seen == {False, True}


@pytest.mark.parametrize("stops", [(7,), (60, 61, 62), (100, 111), (150,), (40, 90, 140, 170)])
def test_restarts_change_no_result(reference: Reference, log: list[Pane], stops: tuple[int, ...]) -> None:
    assert encoded(run(reference, log, *stops)) == encoded(run(reference, log))


def test_feeding_many_panes_at_once_changes_no_result(reference: Reference, log: list[Pane]) -> None:
    assert encoded(run(reference, log, at_once=37)) == encoded(run(reference, log))


@pytest.mark.parametrize("stop", [7, 61, 140])
def test_a_state_file_suffices_without_a_log_to_read_again(reference: Reference, stop: int) -> None:
    log = [replace(pane, logged_ms=0) for pane in log_of(reference, waves(600, seed=21), partitions=1)]
    find = lambda stream, version: STANDARDS.standard(reference)  # noqa: E731
    whole, first = Tests(), TestStage(find)
    first.feed_all(list(enumerate(log[:stop])), whole)
    kept = orjson.loads(orjson.dumps([whole.states, first.time_window_panes()]))
    second = TestStage(find, tested=stop, states=kept[0])
    panes = [decode_pane(encode_pane(pane)) for pane in first.panes()]
    for number, pane in enumerate(panes):
        second.feed(number - len(panes), pane, Tests())
    second.restore_time_windows(kept[1])
    second.feed_all(list(enumerate(log[stop:], stop)), whole)
    assert encoded(whole) == encoded(run(reference, log))


def test_damaged_windows_in_a_state_file_are_reported(reference: Reference, log: list[Pane]) -> None:
    standard = STANDARDS.standard(reference)
    stage = TestStage(lambda *_: standard)
    stage.feed_all([(0, log[0])], Tests())
    damaged: list[dict[str, object]] = [{}, {"fresh": [], "ticks": {"10s": [[1]]}}, {"fresh": 7}]
    for held in damaged:
        with pytest.raises(SourceError, match=r"windows by time of stream a: is not a valid state .*delete it"):
            stage.restore_time_windows({"a": {reference.version: held}})


def test_a_renamed_window_no_longer_drifts(reference: Reference) -> None:
    standard = STANDARDS.standard(reference)
    assert standard.by_time
    assert standard.procedure.grid
    first = TimeWindows(standard.by_time, standard.procedure.grid, standard.examples)
    shortest, *others = standard.by_time.sizes
    first.tested(shortest, quiet=False)
    renamed = replace(standard.by_time, sizes=(replace(shortest, name="else"), *others))
    second = TimeWindows(renamed, standard.procedure.grid, standard.examples)
    second.restore(first.state())
    assert second.drifting == frozenset()


def test_panes_with_other_ticks_are_not_restored(reference: Reference, log: list[Pane]) -> None:
    standard = STANDARDS.standard(reference)
    assert standard.by_time
    assert standard.procedure.grid
    first = TimeWindows(standard.by_time, standard.procedure.grid, standard.examples)
    for pane in log[:20]:
        first.take(pane)
    held = first.panes()
    same, other = (
        TimeWindows(replace(standard.by_time, tick_ms=tick_ms), standard.procedure.grid, standard.examples)
        for tick_ms in (TICK_MS, TICK_MS // 2)
    )
    same.restore_panes(held)
    other.restore_panes(held)
    assert same.panes()["fresh"]
    assert not other.panes()["fresh"]


def test_windows_by_count_are_those_of_whole_slices(reference: Reference, log: list[Pane]) -> None:
    slices = Slices()
    whole = [found for pane in log if (found := slices.take(pane)) is not None]
    assert any(pane.unfinished for pane in log)
    assert {pane.n for pane in whole} == {STEP}
    expected, standard = Tests(), replace(STANDARDS.standard(reference), by_time=None)
    TestStage(lambda stream, version: standard).feed_all(list(enumerate(whole)), expected)
    found = [each for each in run(reference, log).windows if isinstance(each.size, int)]
    assert [each.to_json() for each in found] == [each.to_json() for each in expected.windows]


def test_late_samples_are_reported_and_count_for_future_windows(reference: Reference, log: list[Pane]) -> None:
    late, place = log[40], 52
    reordered = [*log[:40], *log[41:place], late, *log[place:]]
    whole = run(reference, reordered)
    events = [event for event in whole.events if isinstance(event, NotTested) and event.late]
    assert [event.late for event in events] == [late.n]
    assert encoded(run(reference, reordered, 45, place, place + 1)) == encoded(whole)
    after = {each.span.end_ms: each.span.samples for each in whole.windows if each.size == "30s"}
    before = {each.span.end_ms: each.span.samples for each in run(reference, log).windows if each.size == "30s"}
    assert {end: before[end] - samples for end, samples in after.items() if samples != before.get(end)}
    assert list(after.items())[-60:] == list(before.items())[-60:]


def test_a_partition_without_event_times_does_not_hold_the_others(reference: Reference, log: list[Pane]) -> None:
    """With timestamps of 0, or in seconds as here, the stream's clock waited in 1970, and no window was tested."""
    now_ms = 1_800_000_000_000
    timed = [
        replace(
            pane,
            start_ms=pane.start_ms + now_ms,
            end_ms=pane.end_ms + now_ms,
            seen_ms=pane.seen_ms and pane.seen_ms + now_ms,
            logged_ms=pane.logged_ms + now_ms,
        )
        for pane in log
    ]
    untimed = [
        replace(
            pane,
            start_ms=pane.start_ms // 1000,
            end_ms=pane.end_ms // 1000,
            seen_ms=pane.seen_ms and pane.seen_ms // 1000,
        )
        if pane.partition
        else pane
        for pane in timed
    ]
    expected, found = run(reference, timed), run(reference, untimed)
    sizes = [[each.size for each in whole.windows].count("10s") for whole in (expected, found)]
    assert abs(sizes[0] - sizes[1]) <= 1 < sizes[0]
    assert not [event for event in found.events if isinstance(event, NotTested) and event.late]


def test_windows_with_too_few_samples_are_reported(reference: Reference) -> None:
    sparse = [
        replace(pane, start_ms=pane.start_ms * 20, end_ms=pane.end_ms * 20, logged_ms=0, seen_ms=None)
        for pane in log_of(reference, waves(200, seed=5), partitions=1)
    ]
    whole = run(reference, sparse)
    names = [name for event in whole.events if isinstance(event, NotTested) for name in event.windows]
    assert "10s" in names
    assert not [each for each in whole.windows if each.size == "10s"]


class TestClock:
    """How far the event time of a stream has advanced."""

    PANE = Pane("a", "v", 1, keep(np.zeros(1)), 0, 0, "in", 0, (0, 0), (0, 0))

    def after(self, *encoded: tuple[int, int, int]) -> EventClock:
        clock = EventClock()
        for partition, newest_ms, logged_ms in encoded:
            clock = clock.after(replace(self.PANE, partition=partition, logged_ms=logged_ms), newest_ms, 1_000)
            assert EventClock.from_json(orjson.loads(orjson.dumps(clock.to_json()))) == clock
        return clock

    def test_is_that_of_the_slowest_partition(self) -> None:
        assert self.after((0, 50, 1), (1, 30, 2), (0, 60, 3), (0, 40, 4)).now_ms(10_000) == 30

    def test_ignores_an_idle_partition(self) -> None:
        busy = [(0, 1_000 * second, 1_000 * second) for second in range(1, 13)]
        assert self.after((1, 30, 1_000), *busy[:10]).now_ms(10_000) == 30
        assert self.after((1, 30, 1_000), *busy).now_ms(10_000) == 12_000

    def test_waits_for_a_partition_after_a_long_pause_of_all(self) -> None:
        assert self.after((1, 30, 1), (0, 40, 1), (0, 9_000_000, 9_000_000)).now_ms(10_000) == 30


messages = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 3)), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(log=messages, cuts=st.lists(st.integers(0, 40), max_size=5))
def test_slices_are_complete_wherever_a_builder_stops(log: list[tuple[int, int]], cuts: list[int]) -> None:
    """Each message has a number of samples and a delay after the previous one; panes span less than three delays."""

    def feed(builder: PaneBuilder, start: int, end: int) -> list[RawPane]:
        made = []
        for offset in range(start, end):
            count, time_ms = log[offset][0], sum(later for _, later in log[: offset + 1])
            record = Record("in", 0, offset, time_ms, None, b"")
            samples = np.array([[offset * 100.0 + i] for i in range(count)])
            made += [*builder.add(record, "a", samples, np.arange(count)), *builder.advance(record)]
        return made

    made, position = list[RawPane](), None
    for cut in [*sorted(min(cut, len(log)) for cut in cuts), len(log)]:
        builder = PaneBuilder(("in", 0), 5, position, tick_ms=3)
        start = position.offset if position else 0
        made += feed(builder, start, max(cut, start))
        committed: Position = builder.position()
        position = parse_position(committed.offset, committed.metadata())
        assert position == committed == position.within(0, len(log))
    undisturbed = feed(PaneBuilder(("in", 0), 5, None, tick_ms=3), 0, len(log))
    facts = [(each.first, each.last, each.unfinished, each.seen_ms, each.samples.tolist()) for each in made]
    assert facts == [(x.first, x.last, x.unfinished, x.seen_ms, x.samples.tolist()) for x in undisturbed]
    assert all(pane.end_ms - pane.start_ms < 3 for pane in made)
    slice_sizes, size = [], 0
    for pane in made:
        size += len(pane.samples)
        if not pane.unfinished:
            slice_sizes.append(size)
            size = 0
    assert set(slice_sizes) <= {5}


def test_the_rewind_reaches_the_oldest_pane_even_if_slices_end_out_of_order(
    reference: Reference, log: list[Pane]
) -> None:
    standard = standards_of([20, 100]).standard(reference)
    stage, disorder = TestStage(lambda stream, version: standard), 0
    for offset, pane in enumerate(log):
        stage.feed(offset, pane, Tests())
        held = [each.number for each in stage.panes()]
        assert stage.rewind == stage.next_offset - min(held)
        (tester,) = stage._testers.values()
        disorder += (numbers := [each.number for each in next(iter(tester.panes.values()))]) != sorted(numbers)
    assert disorder


def test_a_joined_slice_equals_a_whole_one(log: list[Pane]) -> None:
    pieces = log[:3]
    joined = join_panes(pieces)
    assert joined.n == sum(pane.n for pane in pieces)
    np.testing.assert_allclose(joined.summary, sum(pane.summary for pane in pieces))
    assert joined.first == pieces[0].first
    assert len(joined.grades) == joined.n
