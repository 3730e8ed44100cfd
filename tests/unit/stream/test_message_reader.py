"""Messages of no configured stream are rejected with the names that there are; tombstones are passed over."""

from __future__ import annotations

import gc
import weakref
from collections import deque

import pytest

from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.events import UNKNOWN, BatchSeen, DeadLettered
from driftwatch.stream.log import Record
from driftwatch.stream.reading import MessageReader, Route
from driftwatch.stream.sampling import Share
from driftwatch.stream.score_stage import ScoreStage


@pytest.mark.parametrize(
    ("count", "named"), [(8, "m0, m1, m2, m3, m4, m5, m6, m7)"), (11, "m0, m1, m10, m2, m3, m4, m5, m6 or 3 more)")]
)
def test_a_message_of_no_configured_stream_names_some_that_are(reference: Reference, count: int, named: str) -> None:
    routes = {name: Route(name, Scorer(reference)) for name in (f"m{number}" for number in range(count))}
    record = Record("input", 0, 0, 1_000, b"nobody", b"")
    reading = MessageReader().read(record, None, routes, Share())
    assert str(reading.error).endswith(f"to a configured one: {named}")


@pytest.mark.parametrize("key", [b"customer 7", b"waves", None])
def test_a_tombstone_is_counted_and_is_no_message_of_a_stream(reference: Reference, key: bytes | None) -> None:
    """In a compacted topic of customers each deletion became a dead letter, and enough of them an alert."""
    stage = ScoreStage({"waves": Route("waves", Scorer(reference))}, 10)
    work = stage.work(deque([Record("waves", 0, 41, 1_000, key, b"", tombstone=True)]))
    assert not work.dead
    assert not work.newest, "a stream that only deletes is silent"
    assert not [event for event in work.events if isinstance(event, DeadLettered)]
    assert BatchSeen(UNKNOWN, "tombstone", 0) in work.events
    assert work.positions["waves", 0].offset == 42


@pytest.mark.parametrize("value", [b"{", b"\x93NUMPY", b""])
def test_an_unusable_message_is_freed_with_its_dead_letter(reference: Reference, value: bytes) -> None:
    """The error's traceback kept it until a full garbage collection: 20,000 such messages took 180 MB."""
    stage = ScoreStage({"waves": Route("waves", Scorer(reference))}, 10)
    record = Record("waves", 0, 41, 1_000, None, value)
    kept = weakref.ref(record)
    gc.disable()
    try:
        work = stage.work(deque([record]))
        assert [letter.record for letter in work.dead] == [record]
        del work, record
        assert kept() is None
    finally:
        gc.enable()
