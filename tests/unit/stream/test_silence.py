"""Streams that stop: the reader of the input notices, the log decides, and late or restarted readers change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations
from unittest.mock import create_autospec

import numpy as np
import orjson
import pytest

from driftwatch.errors import MessageError
from driftwatch.stats.sums import keep
from driftwatch.stream.announcement import decode, encode, key_of
from driftwatch.stream.events import AlertRaised, StreamQuiet
from driftwatch.stream.pace import pace
from driftwatch.stream.panes import Pane
from driftwatch.stream.quiet_alert import QuietAlert
from driftwatch.stream.quiet_watch import QuietRule, QuietWatch
from driftwatch.stream.sighting import Hush, Sighting, decode_sighting, encode_sighting, is_sighting
from driftwatch.stream.silence import Silence
from driftwatch.stream.standards import Standard
from driftwatch.stream.test_stage import SILENCE, Entry, Tests, TestStage

TOPIC, AFTER_MS = "in", 60_000
PLACE = (TOPIC, 0)


class Clock:
    """A clock that the test sets, in seconds."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> QuietWatch:
    watch = QuietWatch(lambda: {"a": QuietRule(AFTER_MS, "warning")}, clock=clock, calendar=clock)
    watch.take_up(PLACE)
    return watch


def heard(offset: int, partition: int = 0, time_ms: int | None = None) -> Sighting:
    return Sighting("a", TOPIC, partition, offset, 1_000 * offset if time_ms is None else time_ms)


def silent(end: int, partition: int = 0, *, of: int = 1, last: int = -1) -> Sighting:
    hush = Hush(end, of, 1_000_000 + end, AFTER_MS, "warning")
    return Sighting("a", TOPIC, partition, last, 1_000 * max(last, 0), hush)


def pane(last: int, partition: int = 0, *, n: int = 10, end_ms: int = 0) -> Pane:
    return Pane(
        "a", "v", n, keep(np.zeros(1)), end_ms, end_ms or 1_000 * last, TOPIC, partition, (last, 0), (last, n - 1)
    )


def run(entries: Iterable[Entry], *stops: int) -> list[QuietAlert]:
    """The alerts of a log over several stages, each of which restores the states of the one before."""
    stage, states, alerts = TestStage(lambda *_: None), {}, []
    for offset, entry in enumerate(entries):
        if offset in stops:
            kept = orjson.loads(orjson.dumps(states))
            stage = TestStage(lambda *_: None, tested=offset, states=kept)
        tests = Tests()
        stage.feed(offset, entry, tests)
        states |= tests.states
        alerts += tests.alerts
    return alerts


class TestWatch:
    """The watch of the role that reads the input."""

    def test_reports_the_first_message_and_no_further_ones(self, watch: QuietWatch) -> None:
        assert watch.note({(PLACE, "a"): (5, 50)}) == [heard(5, time_ms=50)]
        assert watch.note({(PLACE, "a"): (6, 60), (PLACE, "other"): (7, 70)}) == []

    def test_reports_a_silence_once_and_its_end(self, watch: QuietWatch, clock: Clock) -> None:
        watch.note({(PLACE, "a"): (5, 50)})
        clock.now += 59.9
        assert watch.due() == []
        clock.now += 0.2
        assert watch.due() == [PLACE]
        (found,) = watch.silent(PLACE, 6, partitions=3)
        assert found == Sighting("a", TOPIC, 0, 5, 50, Hush(6, 3, int(clock.now * 1000), AFTER_MS, "warning"))
        clock.now += 1_000
        assert watch.due() == []
        assert watch.note({(PLACE, "a"): (6, 60)}) == [heard(6, time_ms=60)]
        clock.now += 61
        assert watch.due() == [PLACE]

    def test_checks_the_end_of_the_log_at_most_once_a_second(self, watch: QuietWatch, clock: Clock) -> None:
        clock.now += 61
        assert watch.due() == [PLACE]
        assert watch.due() == []
        clock.now += 1
        assert watch.due() == [PLACE]

    def test_starts_anew_with_a_newly_assigned_partition(self, watch: QuietWatch, clock: Clock) -> None:
        watch.note({(PLACE, "a"): (5, 50)})
        clock.now += 59
        watch.drop(PLACE)
        watch.take_up(PLACE)
        clock.now += 59
        assert watch.due() == []
        clock.now += 1
        assert watch.silent(PLACE, 6, 1)[0].offset == -1

    def test_each_stream_has_its_own_limit_which_may_change(self, clock: Clock) -> None:
        rules = {"a": QuietRule(AFTER_MS, "warning"), "b": QuietRule(10 * AFTER_MS, "critical")}
        watch = QuietWatch(lambda: dict(rules), clock=clock, calendar=clock)
        watch.take_up(PLACE)
        watch.note({(PLACE, "a"): (5, 50), (PLACE, "b"): (6, 60)})
        clock.now += 60
        assert watch.due() == [PLACE]
        assert [each.stream for each in watch.silent(PLACE, 7, 1)] == ["a"]
        rules["b"] = QuietRule(AFTER_MS, "critical")
        clock.now += 60
        assert watch.due() == [PLACE]
        (found,) = watch.silent(PLACE, 7, 1)
        assert found.stream == "b"
        assert found.hush == Hush(7, 1, int(clock.now * 1000), AFTER_MS, "critical")
        del rules["a"]
        clock.now += 60
        watch.due()
        assert watch.note({(PLACE, "a"): (8, 80)}) == []

    def test_without_watched_streams_nothing_is_reported(self, clock: Clock) -> None:
        watch = QuietWatch(clock=clock)
        watch.take_up(PLACE)
        clock.now += 1e6
        assert watch.due() == []
        assert watch.note({(PLACE, "a"): (5, 50)}) == []


class TestLog:
    """The role that reads the panes log."""

    def test_a_stream_that_never_had_a_message_is_not_silent(self) -> None:
        assert run([silent(0), silent(0)]) == []

    def test_an_alert_fires_once_and_is_resolved_by_the_next_message(self) -> None:
        firing, resolved = run([heard(5), silent(6, last=5), silent(6), heard(6), pane(7)])
        assert (firing.state, firing.since_ms, firing.end_ms, firing.offset) == ("firing", 5_000, 1_000_006, 5)
        assert (resolved.state, resolved.since_ms, resolved.end_ms, resolved.offset) == ("resolved", 5_000, 6_000, 6)

    @pytest.mark.parametrize("stops", [(1,), (2,), (2, 3), (3, 4, 5), tuple(range(1, 7))])
    def test_restarts_change_nothing(self, stops: tuple[int, ...]) -> None:
        log = [heard(5), pane(5), silent(7, last=6), silent(7), heard(7), pane(8), silent(9, last=8)]
        assert run(log, *stops) == run(log)
        assert len(run(log)) == 3

    def test_ids_depend_on_the_last_message_and_distinguish_silences(self) -> None:
        log = [heard(5), silent(6, last=5), heard(6), silent(7, last=6)]
        ids = [alert.id for alert in run(log)]
        assert len(set(ids)) == 3
        assert ids == [alert.id for alert in run([heard(4), pane(5), *log[1:]])]

    def test_all_partitions_must_be_silent(self) -> None:
        marks = [silent(6, 0, of=3, last=5), silent(0, 1, of=3), silent(9, 2, of=3, last=8)]
        for order in permutations(marks):
            alerts = run([heard(5, 0), heard(8, 2), *order])
            assert [(each.state, each.partition, each.offset) for each in alerts] == [("firing", 2, 8)]
            assert run([heard(5, 0), heard(8, 2), *order[:2]]) == []

    def test_a_pane_of_older_samples_does_not_end_a_silence_but_one_of_newer_ones_does(self) -> None:
        log = [heard(5), silent(9, last=8)]
        assert [each.state for each in run([*log, pane(8), pane(9)])] == ["firing", "resolved"]
        assert [each.state for each in run([*log, pane(8)])] == ["firing"]

    def test_a_message_of_a_recreated_topic_ends_a_silence(self) -> None:
        assert [each.state for each in run([heard(500), silent(501), heard(3)])] == ["firing", "resolved"]

    def test_panes_alone_leave_no_state(self) -> None:
        assert Silence().scored(pane(5)) == (Silence(), None)

    def test_a_successor_knows_that_a_stream_is_silent(self) -> None:
        tests = Tests()
        TestStage(lambda *_: None).feed_all([(0, heard(5)), (1, silent(6))], tests)
        assert [event.alert.state for event in tests.events if isinstance(event, AlertRaised)] == ["firing"]
        later = TestStage(lambda *_: create_autospec(Standard), tested=2, states=tests.states)
        assert later.begun == [StreamQuiet("a", 5_000)]
        assert later.streams == {"a"}
        assert list(tests.states) == [f"a{SILENCE}"]

    def test_a_silent_stream_that_was_removed_is_not_reported(self) -> None:
        tests = Tests()
        TestStage(lambda *_: None).feed_all([(0, heard(5)), (1, silent(6))], tests)
        assert TestStage(lambda *_: None, tested=2, states=tests.states).begun == []


class TestWire:
    """Sightings and alerts as messages."""

    @pytest.mark.parametrize("sighting", [heard(5), silent(6, 2, of=3, last=5)])
    def test_sightings_are_decoded_unchanged(self, sighting: Sighting) -> None:
        assert is_sighting(encode_sighting(sighting))
        assert decode_sighting(encode_sighting(sighting)) == sighting

    @pytest.mark.parametrize("value", [b'{"sighting":1}', b'{"sighting":', b'{"sighting":1,"hush":3}'])
    def test_invalid_sightings_are_refused(self, value: bytes) -> None:
        with pytest.raises(MessageError):
            decode_sighting(value)

    def test_alerts_are_decoded_unchanged_and_have_their_own_key(self) -> None:
        for alert in run([heard(5), silent(6), heard(6)]):
            assert decode(encode(alert)) == alert
            assert key_of(alert) != alert.stream
            assert orjson.loads(encode(alert))["type"] == "io.driftwatch.quiet.v1"
        for value in (b"{}", b"[", b'{"type":"io.driftwatch.quiet.v1"}'):
            with pytest.raises(MessageError):
                decode(value)


class TestPace:
    """The rate at which samples arrive."""

    def test_counts_samples_after_the_first_pane(self) -> None:
        assert pace([pane(1, end_ms=1_000), pane(2, end_ms=3_000), pane(3, end_ms=6_000)]) == 4.0
        # All samples of a message have one time: the first message does not tell how long it took.
        assert pace([pane(1, end_ms=1_000), pane(1, end_ms=1_000), pane(2, end_ms=11_000)]) == 1.0

    def test_takes_the_time_of_the_log_for_times_that_cannot_be_right(self) -> None:
        """A partition whose messages have no time, beside one whose messages do, seemed to take decades."""
        now = 1_800_000_000_000
        timed = [replace(pane(1, n=10), end_ms=end, logged_ms=now + 5_000) for end in (now, now + 1_000, 0)]
        assert pace(timed) == 20 / 5.0

    def test_is_unknown_if_all_times_are_equal(self) -> None:
        assert pace([]) is None
        assert pace([pane(1, end_ms=1_000), pane(2, end_ms=1_000)]) is None
