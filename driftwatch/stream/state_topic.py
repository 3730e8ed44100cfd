"""The state topic: what testing remembers of each stream, in the partition with the number of its panes' partition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from kafka import KafkaConsumer, TopicPartition

from driftwatch.errors import SourceError
from driftwatch.stream.announcement import APART
from driftwatch.stream.gaps import home
from driftwatch.stream.log import Outgoing
from driftwatch.stream.partitions import end_of, read_to_end

log = structlog.get_logger("driftwatch.test")

States = Mapping[str, Mapping[str, Any]]
"""States of policies and silences, by key."""


class StateTopic:
    """Reads states as earlier testers left them.

    Args:
        topic: its name.
        partitions: that streams are spread over.
        reader: reads committed messages.
        ends: sees where the topic ends, uncommitted messages included.
    """

    def __init__(self, topic: str, partitions: int, reader: KafkaConsumer, ends: KafkaConsumer) -> None:
        self._topic, self._partitions = topic, partitions
        self._reader, self._ends = reader, ends

    def read(self, partition: int) -> States:
        """The states of a partition as its previous owner left them.

        Kafka completes a transaction partition by partition: the previous owner's offset may be committed before its
        states are. So this reads up to the last state written, which includes waiting for its transaction to end.

        Raises:
            SourceError: partitions were added to the topic, so that streams have moved.
            KafkaTimeoutError: reading gets no further.
        """
        if partition >= self._partitions:
            return {}  # added to the panes topic alone: it holds no stream, and the state topic has no such partition
        read = TopicPartition(self._topic, partition)
        found: dict[str, Mapping[str, Any]] = {}
        for message in read_to_end(self._reader, read, end_of(self._ends, read)):
            try:
                key, state = (message.key or b"").decode(), orjson.loads(message.value or b"{}")
            except ValueError:
                key, state = "", None
            if message.value is None:
                found.pop(key, None)
            elif key and isinstance(state, dict):
                found[key] = state
            else:
                log.error("no state: ignored", topic=self._topic, partition=partition, offset=message.offset)
        if strays := sorted(key for key in found if home(key.split(APART)[0], self._partitions) != partition):
            raise SourceError(
                f"partition {partition} holds the states of {', '.join(strays[:3])}, which belong in others of the "
                f"{self._partitions} partitions: partitions were added to the topic",
                where=f"topic {self._topic}",
                remedy="see 'Partitions' in docs/operating.md",
            )
        return found


def state_messages(topic: str, states: States, partition: int) -> list[Outgoing]:
    """The messages that keep states."""
    return [
        Outgoing(topic, key.encode(), orjson.dumps(dict(state), option=orjson.OPT_SORT_KEYS), partition=partition)
        for key, state in states.items()
    ]
