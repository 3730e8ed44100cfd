"""Panes are a function of the log, however it is polled, and wherever a reader is stopped and restarted."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.data.codecs import encode
from driftwatch.errors import MessageError, SourceError
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.sums import keep
from driftwatch.stream import pane_builder, score_stage
from driftwatch.stream.events import BatchSeen, Event, PartitionCrowded, SamplesScored
from driftwatch.stream.log import Record
from driftwatch.stream.pane_builder import PaneBuilder
from driftwatch.stream.pane_codec import decode_pane, encode_pane
from driftwatch.stream.panes import Pane, RawPane
from driftwatch.stream.positions import METADATA_LIMIT, Position, fits, parse_position
from driftwatch.stream.reading import Route
from driftwatch.stream.score_stage import ScoreStage
from tests.synthetic import SCHEMA, waves

PLACE = ("input", 3)
STEP = 5


@dataclass(frozen=True)
class Message:
    stream: str
    samples: int


messages = st.lists(st.builds(Message, st.sampled_from(["a", "b", "c"]), st.integers(0, 12)), min_size=1, max_size=40)


def record(offset: int) -> Record:
    return Record(*PLACE, offset, 1_000 + offset, None, b"")


def feed(builder: PaneBuilder, log: list[Message], start: int, end: int) -> list[RawPane]:
    made = []
    for offset in range(start, end):
        message = log[offset]
        samples = np.array([[offset * 100.0 + i] for i in range(message.samples)])
        made += builder.add(record(offset), message.stream, samples, np.arange(message.samples))
        made += builder.advance(record(offset))
    return made


def facts_of(made: list[RawPane]) -> list[tuple[str, tuple[int, int], tuple[int, int], list[float]]]:
    return [(pane.stream, pane.first, pane.last, pane.samples[:, 0].tolist()) for pane in made]


@settings(max_examples=200, deadline=None)
@given(log=messages, cuts=st.lists(st.integers(0, 40), max_size=6))
def test_restarts_change_no_pane(log: list[Message], cuts: list[int]) -> None:
    undisturbed = feed(PaneBuilder(PLACE, STEP), log, 0, len(log))
    made: list[RawPane] = []
    position: Position | None = None
    for cut in [*sorted(min(cut, len(log)) for cut in cuts), len(log)]:
        builder = PaneBuilder(PLACE, STEP, position)
        start = position.offset if position else 0
        made += feed(builder, log, start, max(cut, start))
        committed = builder.position()
        position = parse_position(committed.offset, committed.metadata())
        assert position == committed
    assert facts_of(made) == facts_of(undisturbed)


@settings(max_examples=200, deadline=None)
@given(
    log=st.lists(st.builds(Message, st.sampled_from(["a", "b", "c"]), st.integers(0, 2)), min_size=1, max_size=40),
    cuts=st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["a", "b", ""])), max_size=6),
)
def test_panes_closed_short_lose_no_sample_over_restarts(log: list[Message], cuts: list[tuple[int, str]]) -> None:
    made: list[RawPane] = []
    position: Position | None = None
    for cut, stream in [*((min(cut, len(log)), stream) for cut, stream in cuts), (len(log), "a")]:
        builder = PaneBuilder(PLACE, STEP, position)
        start = position.offset if position else 0
        made += feed(builder, log, start, max(cut, start))
        made += [pane] if (pane := builder.close(stream)) else []
        position = builder.position()
    waiting = position.marks if position else {}
    for stream in ("a", "b", "c"):
        sent = [(at, i) for at, m in enumerate(log) if m.stream == stream for i in range(m.samples)]
        paned = [pane.mark(i) for pane in made if pane.stream == stream for i in range(len(pane.samples))]
        assert paned == [mark for mark in sent if mark < waiting.get(stream, (len(log), 0))]


@settings(max_examples=50, deadline=None)
@given(log=messages)
def test_panes_hold_each_sample_once_and_in_order(log: list[Message]) -> None:
    builder = PaneBuilder(PLACE, STEP)
    made = feed(builder, log, 0, len(log))
    assert all(len(pane.samples) == STEP for pane in made)
    for stream in ("a", "b", "c"):
        sent = [100.0 * at + i for at, m in enumerate(log) if m.stream == stream for i in range(m.samples)]
        paned = [value for pane in made if pane.stream == stream for value in pane.samples[:, 0].tolist()]
        assert paned == sent[: len(sent) // STEP * STEP]


@settings(max_examples=100, deadline=None)
@given(
    log=st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 23), st.integers(0, 6)), min_size=1),
    units=st.lists(st.integers(1, 3), max_size=20),
)
def test_a_restart_within_a_message_changes_no_pane(log: list[tuple[str, int, int]], units: list[int]) -> None:
    """Units of work may end after any pane; each message has a stream, a number of samples and an event time."""

    def panes(builder: PaneBuilder, start: int) -> Iterator[RawPane]:
        for offset, (stream, count, time_ms) in enumerate(log[start:], start):
            message = replace(record(offset), timestamp_ms=time_ms)
            yield from builder.add(message, stream, np.full((count, 1), offset), np.arange(count))
            yield from builder.advance(message)

    position, made = Position(0, 0), list[RawPane]()
    for unit in [*units, None]:
        builder = PaneBuilder(PLACE, STEP, position, tick_ms=3)
        made += islice(panes(builder, position.offset), unit)
        position = builder.position()
        assert parse_position(position.offset, position.metadata()) == position
    undisturbed = list(panes(PaneBuilder(PLACE, STEP, tick_ms=3), 0))
    facts = [(each.first, each.last, each.unfinished, each.seen_ms) for each in made]
    assert facts == [(each.first, each.last, each.unfinished, each.seen_ms) for each in undisturbed]


def test_a_long_message_is_scored_in_several_units_of_work(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The panes of 500,000 samples did not fit in a transaction: it was tried again for ever."""
    monkeypatch.setattr(score_stage, "WORK_BATCHES", 1)
    value, headers = encode(waves(300, seed=1), SCHEMA, "npy")
    messages = [Record(*PLACE, offset, 0, b"waves", value, tuple(headers.items())) for offset in range(3)]
    routes = {"waves": Route("waves", Scorer(reference, batch_size=64))}
    renewed: list[int] = []

    def renew() -> Mapping[str, Route]:
        renewed.append(len(panes))
        return routes

    panes: list[Pane] = []
    counted, position = 0, Position(0, 0)
    for restarted in (False, True):
        stage = ScoreStage(routes, STEP, renew=renew)
        stage.assign(PLACE, position)
        queue = deque(messages[position.offset :])
        while queue and (restarted or len(panes) < 80):  # the first stage stops within the second message
            work = stage.work(queue)
            assert sum(pane.n for pane in work.panes) <= 64 + STEP
            panes, position = panes + work.panes, work.positions[PLACE]
            counted += sum(isinstance(event, BatchSeen) for event in work.events)
    assert [pane.first for pane in panes] == [(at, row) for at in range(3) for row in range(0, 300, STEP)]
    assert counted == 3
    assert position == Position(3, 3)
    # Between messages, of 60 panes each, the reference may change; within one only by the restart.
    assert renewed == [0, 60, 86, 120]


def test_a_slice_that_began_with_a_larger_step_ends_with_the_next_sample() -> None:
    """After a change of `windows.step`, cutting never ended."""
    builder = PaneBuilder(PLACE, STEP, Position(0, 0, {"a": (0, 0)}, begun={"a": STEP + 2}), tick_ms=3)
    made = feed(builder, [Message("a", 7)], 0, 1)
    assert [(pane.first, pane.last) for pane in made] == [((0, 0), (0, 0)), ((0, 1), (0, STEP))]


def test_repeated_records_are_recognised() -> None:
    builder = PaneBuilder(PLACE, STEP, Position(2, 5, {"a": (2, 1)}))
    assert [builder.repeated(record(offset)) for offset in (2, 4, 5)] == [True, True, False]


def test_a_pane_that_spans_too_many_messages_is_closed_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pane_builder, "PANE_SPAN", 3)
    log = [Message("a", 2), *(Message("b", 1) for _ in range(4))]
    made = feed(PaneBuilder(PLACE, STEP), log, 0, len(log))
    assert facts_of(made)[0] == ("a", (0, 0), (0, 1), [0.0, 1.0])


def test_positions_always_fit_into_the_metadata_of_an_offset() -> None:
    builder = PaneBuilder(PLACE, STEP)
    made: list[RawPane] = []
    for offset in range(2_000):
        made += builder.add(record(offset), f"stream-{offset:08}", np.zeros((1, 1)), np.arange(1))
        made += builder.advance(record(offset))
        assert len(builder.position().metadata().encode()) <= METADATA_LIMIT
    assert made, "with too many streams for the metadata, panes must have been closed short"
    assert fits(builder.position())
    assert 100 < builder.crowded < 200


def test_without_committed_offsets_any_number_of_streams_have_full_panes() -> None:
    builder = PaneBuilder(PLACE, STEP, committed=False)
    made: list[RawPane] = []
    for offset in range(1_000 * STEP):
        made += builder.add(record(offset), f"stream-{offset % 1_000:08}", np.zeros((1, 1)), np.arange(1))
        made += builder.advance(record(offset))
    assert [len(pane.samples) for pane in made] == [STEP] * 1_000
    assert not builder.crowded


def test_a_partition_shared_by_too_many_streams_is_reported_once(reference: Reference) -> None:
    streams = [f"stream-{number:08}" for number in range(300)]
    stage = ScoreStage({stream: Route(stream, Scorer(reference)) for stream in streams}, STEP)
    value, headers = encode(waves(1, seed=1), SCHEMA, "npy")
    events: list[Event] = []
    for start in (0, 150):
        queue = deque(
            Record(*PLACE, offset, 0, stream.encode(), value, tuple(headers.items()))
            for offset, stream in enumerate(streams[start : start + 150], start)
        )
        while queue:
            events += stage.work(queue).events
    crowded = [event for event in events if isinstance(event, PartitionCrowded)]
    assert [(each.topic, each.partition) for each in crowded] == [PLACE]
    assert 100 < crowded[0].streams < 200


def test_metadata_of_another_program_is_refused() -> None:
    with pytest.raises(SourceError, match="consumer group for driftwatch alone"):
        parse_position(7, "someone else's")


def test_a_pane_is_decoded_unchanged() -> None:
    flaws = {"größe": (2, 0), "town": (0, 5)}
    pane = Pane("a/ü", "abc", 5, keep(np.array([1.5, -np.pi, 1e300])), 10, 20, "input", 3, (7, 1), (9, 0), flaws=flaws)
    found = decode_pane(encode_pane(pane))
    np.testing.assert_array_equal(found.summary, pane.summary)
    assert replace(found, sums=pane.sums) == pane


@pytest.mark.parametrize(
    "changed",
    [
        {"stream": ["a"]},
        {"reference": None},
        {"topic": {}},
        {"n": 0},
        {"n": -3},
        {"grades": [1, 2]},
        {"grades": 1_000_000_000},  # `bytes` of a number are as many zeros
        {"grades": [256, 0, 0, 0, 0]},
        {"values": -1},
        {"first": "7"},
        {"share": 1},
        {"candidates": [[0.5]]},
        {"flaws": []},
    ],
    ids=str,
)
def test_a_message_that_is_almost_a_pane_is_refused(changed: dict[str, Any]) -> None:
    pane = Pane("a", "abc", 5, keep(np.arange(3.0)), 10, 20, "input", 3, (7, 1), (9, 0), grades=b"01234")
    head, numbers = encode_pane(pane).split(b"\n", 1)
    with pytest.raises(MessageError) as caught:
        decode_pane(orjson.dumps(orjson.loads(head) | changed) + b"\n" + numbers)
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize("unknown", [-1, 0, 192_000])
def test_a_message_without_a_time_is_reported_as_new_but_its_pane_is_a_function_of_the_log(
    unknown: int, reference: Reference
) -> None:
    """Streams seemed quiet since 1970."""
    stage, before_ms = ScoreStage({"waves": Route("waves", Scorer(reference))}, STEP), time.time() * 1000
    value, headers = encode(waves(STEP, seed=1), SCHEMA, "npy")
    work = stage.work(deque([Record(*PLACE, 0, unknown, b"waves", value, tuple(headers.items()))]))
    (scored,) = (event for event in work.events if isinstance(event, SamplesScored))
    assert int(before_ms) <= scored.last_timestamp_ms <= time.time() * 1000
    assert [pane.end_ms for pane in work.panes] == [unknown]
