"""Shedding adapts to the lag, and which samples are watched follows from the input and the panes, over restarts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.data.codecs import encode
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.alert import OffsetRange, WindowSpan
from driftwatch.stream.events import BatchSeen, SampleFraction
from driftwatch.stream.log import Partition, Record
from driftwatch.stream.pane_codec import decode_pane, encode_pane
from driftwatch.stream.panes import Pane
from driftwatch.stream.positions import parse_position
from driftwatch.stream.reading import Route
from driftwatch.stream.sampling import ALL, Share, in_share
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.shedding import LEAST, Shedder
from tests.shares import check_shares
from tests.synthetic import SCHEMA, waves

PLACE = ("requests", 0)
STEP, FRACTION = 5, 0.7
SAMPLES = waves(240, seed=5)
VALUE_OF = [encode(SAMPLES[start : start + 3], SCHEMA, "npy") for start in range(0, 240, 3)]
LOG = [Record(*PLACE, i, 1_000 * i, b"a", value, tuple(headers.items())) for i, (value, headers) in enumerate(VALUE_OF)]


@dataclass
class Clock:
    """A clock that the test sets, in seconds."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Scripted(Shedder):
    """Changes the share according to a script, whatever the lag."""

    script: list[float] = field(default_factory=list)

    def share(self, place: Partition, offset: int, time_ms: int, present: Share) -> Share:
        part = self.script.pop() if self.script else present.part
        return present if part == present.part else Share(part, offset)


def run(reference: Reference, shares: list[float], stops: list[int], units: list[int]) -> list[Pane]:
    """The panes of the log, with shares that change, and daemons that die after or within a unit of work."""
    routes = {"a": Route("a", Scorer(reference), "auto", FRACTION)}
    panes, position, script, sizes = list[Pane](), None, list(shares), list(units)
    for stop in [*stops, len(LOG)]:
        stage = ScoreStage(routes, STEP, shedder=Scripted(script))
        stage.assign(PLACE, position)
        begin = position.offset if position else 0
        queue = deque(LOG[begin:])
        while queue and queue[0].offset < stop:
            unit = deque(queue.popleft() for _ in range(min(len(queue), sizes.pop() if sizes else 9)))
            work = stage.work(unit)
            if queue and queue[0].offset >= stop and stop % 2:
                break  # killed before this was committed
            panes += [decode_pane(encode_pane(pane)) for pane in work.panes]
            position = work.positions[PLACE]
            position = parse_position(position.offset, position.metadata())
    return panes


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from([1.0, 0.5, 0.25, 0.125]), max_size=12),
    st.lists(st.integers(0, len(LOG)), max_size=4).map(sorted),
    st.lists(st.integers(1, 12), max_size=30),
)
def test_panes_hold_what_their_shares_say_of_the_log(
    reference: Reference, shares: list[float], stops: list[int], units: list[int]
) -> None:
    panes = run(reference, shares, stops, units)
    check_shares(panes, LOG, lambda _: 3, STEP, FRACTION)


def test_shed_samples_are_counted_and_reported(reference: Reference) -> None:
    stage = ScoreStage({"a": Route("a", Scorer(reference), "auto", FRACTION)}, STEP, shedder=Scripted([0.5]))
    work = stage.work(deque(LOG))
    outcomes = [event.outcome for event in work.events if isinstance(event, BatchSeen)]
    assert outcomes.count("shed") == sum(not in_share(record, Share(0.5)) for record in LOG)
    assert SampleFraction("a", FRACTION / 2, shedding=True) in work.events
    assert {pane.share for pane in work.panes} == {Share(0.5, 0)}
    assert not [event for event in stage.work(deque()).events if isinstance(event, SampleFraction)]


def test_the_fraction_of_a_stream_that_comes_back_is_reported_again(reference: Reference) -> None:
    route = Route("a", Scorer(reference), "auto", FRACTION)
    routes = {"a": route}
    stage = ScoreStage(routes, STEP, renew=lambda: routes)
    report = SampleFraction("a", FRACTION, shedding=False)
    assert report in stage.work(deque()).events
    assert report not in stage.work(deque()).events
    routes = {}
    assert report not in stage.work(deque()).events
    routes = {"a": route}
    assert report in stage.work(deque()).events


def test_a_smaller_share_is_a_subset_of_a_larger_one() -> None:
    parts = [{r.offset for r in LOG if in_share(r, Share(2.0**-n))} for n in range(5)]
    assert len(parts[0]) == len(LOG)
    assert all(small < large for large, small in pairwise(parts))


def test_the_share_falls_while_the_lag_is_too_large_and_rises_after_catching_up() -> None:
    clock = Clock()
    shedder = Shedder(60.0, clock=clock, calendar=clock)

    def shares(lag_s: float, seconds: int, share: Share) -> list[Share]:
        found = [share]
        for _ in range(seconds):
            clock.now += 1
            found.append(shedder.share(PLACE, 7, int(1000 * (clock.now - lag_s)), found[-1]))
        return found

    assert {share.part for share in shares(59, 300, ALL)} == {1.0}
    down = shares(61, 40, ALL)
    assert [down[1].part, down[-1].part] == [0.5, 2.0**-5], "halved after each eighth of the allowed lag"
    assert down[-1].since == 7
    assert shares(61, 600, down[-1])[-1].part == LEAST, "a minimum is always watched"
    assert {share.part for share in shares(30, 300, down[-1])} == {2.0**-5}, "in between it is constant"
    up = shares(10, 400, down[-1])
    assert up[-1].part == 1.0
    assert [share.part for share in up[::30]][:4] == [2.0**-5, 2.0**-4, 2.0**-3, 2.0**-2]


def test_messages_without_times_say_nothing_about_the_lag() -> None:
    """They are 0, -1, or in seconds; where one in a hundred was, all but a thousandth was shed at times."""
    now_s = 1_800_000_000.0
    shedder = Shedder(60.0, clock=Clock(), calendar=lambda: now_s)
    assert [shedder.share(PLACE, 7, time_ms, ALL) for time_ms in (0, -1, int(now_s))] == [ALL] * 3
    assert shedder.share(PLACE, 7, int(1000 * now_s) - 61_000, ALL).part == 0.5


def test_a_window_records_the_share_of_samples_that_was_watched() -> None:
    span = WindowSpan(50, 50, 0, 1, (OffsetRange("requests", 0, 0, 9),))
    assert "share" not in span.to_json()
    assert WindowSpan(50, 50, 0, 1, (), share=0.25).to_json()["share"] == 0.25


def test_positions_contain_the_share() -> None:
    position = parse_position(7, '{"seen":3,"marks":{"a":[0,1]},"share":[0.5,4]}')
    assert position.share == Share(0.5, 4)
    assert parse_position(7, position.metadata()) == position
    assert position.within(9, 50).share == Share(0.5, 4)
