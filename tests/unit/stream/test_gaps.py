"""Gaps in a log: found, recorded, and never spanned by a window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    KafkaTimeoutError,
    OffsetOutOfRangeError,
    ProducerFencedError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from kafka.partitioner import DefaultPartitioner

from driftwatch.errors import MessageError, RegistryError
from driftwatch.stream.formats import NewerFormatError
from driftwatch.stream.gaps import Gap, decode_gap, encode_gap, find_gap, home, is_gap
from driftwatch.stream.losses import Unready, reason_of, words_of
from driftwatch.stream.positions import Position

PLACE = ("requests", 3)
GAP = Gap(*PLACE, 50, 80, "retention")


@st.composite
def positions(draw: st.DrawFn) -> Position:
    offset = draw(st.integers(0, 50))
    seen = offset + draw(st.integers(0, 50))
    waiting = st.tuples(st.integers(offset, max(offset, seen - 1)), st.integers(0, 9))
    marks = draw(st.dictionaries(st.sampled_from("abc"), waiting, max_size=3)) if seen > offset else {}
    return Position(min((mark[0] for mark in marks.values()), default=seen), seen, marks)


@given(positions(), st.integers(0, 120), st.integers(0, 120))
def test_a_position_is_moved_into_the_rest_of_the_log(position: Position, begin: int, length: int) -> None:
    end = begin + length
    moved = position.within(begin, end)
    assert begin <= moved.offset <= moved.seen <= end
    assert all(moved.offset <= mark[0] < moved.seen for mark in moved.marks.values())
    if begin <= position.offset and position.seen <= end:
        assert moved == position
        assert find_gap(PLACE, position, begin, end) is None
    elif position.offset < begin:
        gap = find_gap(PLACE, position, begin, end)
        assert gap is not None
        assert (gap.first, gap.next, gap.why) == (position.offset, begin, "retention")
        assert moved.offset == begin or not moved.marks or moved.seen == end
    # Processed messages are not processed again, as far as the log still has them.
    assert moved.seen >= min(position.seen, end)


def test_waiting_samples_keep_waiting_if_their_messages_remain() -> None:
    position = Position(100, 180, {"a": (100, 3), "b": (170, 1)})
    assert position.within(160, 500) == Position(160, 180, {"a": (160, 0), "b": (170, 1)})
    assert position.within(200, 500) == Position(200, 200)
    assert position.within(0, 120) == Position(100, 120, {"a": (100, 3)})


def test_a_gap_is_a_message_that_is_not_a_pane() -> None:
    assert decode_gap(encode_gap(GAP)) == GAP
    assert is_gap(encode_gap(GAP))
    assert not is_gap(b'{"format":1,"stream":"gap"}\n"gap":')
    with pytest.raises(MessageError):
        decode_gap(encode_gap(GAP).replace(b"50", b"null"))
    with pytest.raises(NewerFormatError, match="a gap has format 2"):
        decode_gap(encode_gap(GAP).replace(b'{"gap":1', b'{"gap":2'))


@given(st.text(min_size=1, max_size=50), st.integers(1, 50))
def test_the_home_of_a_stream_is_the_partition_that_kafka_s_clients_choose(stream: str, partitions: int) -> None:
    class Cluster:
        def topics(self) -> set[str]:
            return {"panes"}

        def partitions_for_topic(self, _: str) -> set[int]:
            return set(range(partitions))

        available_partitions_for_topic = partitions_for_topic

    chosen = DefaultPartitioner().partition("panes", stream, stream.encode(), None, None, Cluster())
    assert home(stream, partitions) == chosen


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (TopicAuthorizationFailedError({"requests"}), "authorization", "a topic (requests)"),
        (GroupAuthorizationFailedError("g"), "authorization", "the consumer group"),
        (ClusterAuthorizationFailedError(), "authorization", "the cluster"),
        (OffsetOutOfRangeError({PLACE: 7}), "gone", "OffsetOutOfRange"),
        (UnknownTopicOrPartitionError(), "topic", "UnknownTopic"),
        (Unready("no topic yet"), "topic", "no topic yet"),
        (RegistryError("away"), "registry", "away"),
        (KafkaTimeoutError("late"), "unreachable", "late"),
        (OSError(), "unreachable", "OSError"),
        (ProducerFencedError(), "unreachable", "another daemon has the same source.instance"),
        (
            KafkaError("Cannot send", ProducerFencedError()),
            "unreachable",
            "another daemon has the same source.instance",
        ),
    ],
)
def test_the_reason_for_a_lost_source_is_classified(error: Exception, reason: str, message: str) -> None:
    assert reason_of(error) == reason
    assert message in words_of(error)
    assert "\n" not in words_of(error)
