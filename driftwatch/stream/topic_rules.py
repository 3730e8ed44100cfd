"""Requirements on the topics that driftwatch writes: how it creates them, and commands that fix unsuitable ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from driftwatch.config import KafkaSource

DAY_MS = 24 * 3_600_000
PANES_KEPT_MS = 7 * DAY_MS
"""Retention of a panes topic that driftwatch creates: how far testing may lag, plus how far its windows reach back."""

ALERTS_KEPT_MS = 30 * DAY_MS
"""The alerts topic keeps every alert for a month, even when its stream has newer ones."""

KEPT_LEAST_MS = DAY_MS
"""The least retention of panes and alerts: a daemon or sink that is down for less loses nothing."""

STATE_SEGMENT_BYTES = 16 << 20
"""Brokers compact full segments only, of a GB or a week by default; each stream writes its state with each commit."""

STATE_MARKERS_MS = 3_600_000
"""How long compaction keeps the ends of transactions, of which there is one for each commit."""

BATCH_BYTES = 512 << 10
"""Size of a batch of messages: a third of the work of Kafka clients' default of 16 KB (`benchmarks.kafka_path`), and
less than the 1 MB that brokers accept by default."""

USUAL_MESSAGE_BYTES = 1_048_588
"""What a topic takes whose settings are not known: the brokers' default."""

REPLICAS = 3
"""If there are as many brokers: one may fail while another restarts."""


@dataclass(frozen=True)
class TopicPlan:
    """A topic as driftwatch would create it.

    Args:
        role: its key in ``source.topics``.
        name: of the topic.
        partitions: number of them.
        replicas: of each partition.
        settings: those that are not left to the broker's defaults.
    """

    role: str
    name: str
    partitions: int
    replicas: int
    settings: Mapping[str, str]

    def command(self, server: str) -> str:
        """The command line that creates it."""
        settings = "".join(f" --config {key}={value}" for key, value in self.settings.items())
        return (
            f"kafka-topics.sh --bootstrap-server {server} --create --topic {self.name} "
            f"--partitions {self.partitions} --replication-factor {self.replicas}{settings}"
        )


@dataclass(frozen=True)
class TopicFound:
    """A topic as it exists.

    Args:
        partitions: number of them.
        replicas: of the partition that has the fewest.
        settings: in force, by name; None if the broker does not reveal them.
    """

    partitions: int
    replicas: int = 1
    settings: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Complaint:
    """Something that should be changed about a topic.

    Args:
        topic: its name.
        what: what is wrong, and its consequence.
        remedy: a command, or words where there is no command.
        refused: whether results would be lost or wrong, so that the daemon does not start; else they are less safe.
    """

    topic: str
    what: str
    remedy: str
    refused: bool = True


@dataclass(frozen=True)
class _Need:
    """A setting of a topic: the value that driftwatch gives it, a test for acceptable values, and the reason.

    `refused`: whether other values are refused, or only reported.
    """

    setting: str
    made: str
    accepts: Callable[[str], bool] = lambda _: True
    why: str = ""
    refused: bool = True


def batch_bytes(source: KafkaSource) -> int:
    """The most that is written as one batch, unless a single message is longer; every topic must accept it."""
    return min(BATCH_BYTES, source.max_message_bytes)


def letter_bytes(source: KafkaSource, letters: TopicFound | None) -> int:
    """The longest dead letter that is written to its topic, which is as driftwatch creates it if it is not found."""
    most = 2 * source.max_message_bytes
    if letters is None:
        return most
    return min(most, int((letters.settings or {}).get("max.message.bytes", USUAL_MESSAGE_BYTES)))


def plan_topics(
    source: KafkaSource, alerts_topic: str, found: Mapping[str, TopicFound], brokers: int
) -> list[TopicPlan]:
    """Every topic that driftwatch writes, as it would create it.

    Args:
        source: its topics.
        alerts_topic: topic for alerts.
        found: existing topics, the input among them.
        brokers: number of them in the cluster.
    """
    topics = source.topics
    # A stream's panes and state share a partition number; the input's partition count spreads the work well enough.
    stream_partitions = next(
        found[name].partitions for name in (topics.state, topics.panes, source.topic) if name in found
    )
    names = {**topics.model_dump(), "alerts": alerts_topic}
    replicas = min(REPLICAS, brokers)
    # With CreateTime, Kafka rejects messages from a clock that is an hour ahead, and soon deletes those from one that
    # is behind by the retention.
    common = {"min.insync.replicas": str(max(1, replicas - 1)), "message.timestamp.type": "LogAppendTime"}
    return [
        TopicPlan(
            role,
            names[role],
            stream_partitions if role in ("panes", "state", "windows") else 1,
            replicas,
            {need.setting: need.made for need in needs} | common,
        )
        for role, needs in _needs(source, found.get(source.topic)).items()
    ]


def complaints(source: KafkaSource, plans: Sequence[TopicPlan], found: Mapping[str, TopicFound]) -> list[Complaint]:
    """What is wrong with existing topics, and the remedies.

    Args:
        source: its topics.
        plans: from `plan_topics`.
        found: existing topics.
    """
    server = source.bootstrap_servers[0]
    needs = _needs(source, found.get(source.topic))
    complaints_found: list[Complaint] = []
    for plan in plans:
        if (topic := found.get(plan.name)) is None:
            continue
        complaints_found += _settings(plan, topic, needs[plan.role], server)
        complaints_found += _replication(plan, topic, server)
    return [*complaints_found, *_partitions(source, found, server)]


def _needs(source: KafkaSource, input_topic: TopicFound | None) -> dict[str, list[_Need]]:
    large = str(2 * source.max_message_bytes)
    longest = source.max_message_bytes
    if input_topic is not None and input_topic.settings:
        longest = min(longest, int(input_topic.settings.get("max.message.bytes", longest)))
    batch = batch_bytes(source)
    batches = _Need(
        "max.message.bytes", large, lambda value: int(value) >= batch, f"it must take batches of {batch} bytes"
    )
    return {
        "panes": [
            _Need(
                "cleanup.policy",
                "delete",
                lambda value: value == "delete",
                "compaction removes all panes of a stream but the last",
            ),
            _Need(
                "retention.ms", str(PANES_KEPT_MS), _long_enough, "panes must be kept for a day or longer until tested"
            ),
            _Need("retention.bytes", "-1"),
            batches,
        ],
        "windows": [_Need("cleanup.policy", "delete"), batches],
        "state": [
            _Need(
                "cleanup.policy",
                "compact",
                lambda value: value == "compact",
                "the last state of a stream must be kept, however old, and none but the last",
            ),
            _Need(
                "segment.bytes",
                str(STATE_SEGMENT_BYTES),
                lambda value: int(value) <= 4 * STATE_SEGMENT_BYTES,
                "a daemon that takes over streams reads all that is not compacted yet, at least one segment",
                refused=False,
            ),
            _Need("delete.retention.ms", str(STATE_MARKERS_MS)),
            batches,
        ],
        # The last alert of each stream is kept for ever: it says whether the stream is firing.
        "alerts": [
            _Need(
                "cleanup.policy",
                "compact",
                lambda value: value == "compact",
                "the last alert of a stream must be kept, however old: it says whether the stream fires",
            ),
            _Need(
                "min.compaction.lag.ms",
                str(ALERTS_KEPT_MS),
                _long_enough,
                "every alert must be kept for a day or longer, until the slowest sink has it",
            ),
            batches,
        ],
        "dead_letters": [
            _Need(
                "cleanup.policy",
                "delete",
                lambda value: value == "delete",
                "a compacted topic takes no message without a key",
            ),
            _Need(
                "max.message.bytes",
                large,
                lambda value: int(value) >= max(batch, longest),
                f"it must take messages as long as those of {source.topic}",
            ),
        ],
    }


def _long_enough(milliseconds: str) -> bool:
    return int(milliseconds) < 0 or int(milliseconds) >= KEPT_LEAST_MS


def _settings(plan: TopicPlan, topic: TopicFound, needs: Sequence[_Need], server: str) -> Iterator[Complaint]:
    if topic.settings is None:
        what = "its settings could not be checked"
        yield Complaint(plan.name, what, "allow driftwatch the operation DescribeConfigs on it", refused=False)
        return
    for need in needs:
        value = topic.settings.get(need.setting)
        if value is not None and not need.accepts(value):
            command = alter_command(server, plan.name, need.setting, need.made)
            yield Complaint(plan.name, f"{need.setting}={value}: {need.why}", command, refused=need.refused)


def _replication(plan: TopicPlan, topic: TopicFound, server: str) -> Iterator[Complaint]:
    """Only warnings: replication does not make results more correct, and no single command raises it."""
    if topic.replicas < plan.replicas:
        what = f"{topic.replicas} of {plan.replicas} replicas that the cluster has brokers for"
        yield Complaint(plan.name, what, "raise it by kafka-reassign-partitions.sh", refused=False)
        return
    wanted = plan.settings["min.insync.replicas"]
    min_insync = int((topic.settings or {}).get("min.insync.replicas", wanted))
    command = alter_command(server, plan.name, "min.insync.replicas", wanted)
    if min_insync < int(wanted):
        what = f"min.insync.replicas={min_insync}: what one broker alone has acknowledged is lost with it"
        yield Complaint(plan.name, what, command, refused=False)
    elif min_insync >= topic.replicas > 1:
        what = (
            f"min.insync.replicas={min_insync} of {topic.replicas} replicas: nothing is written while a broker is away"
        )
        yield Complaint(plan.name, what, command, refused=False)


def _partitions(source: KafkaSource, found: Mapping[str, TopicFound], server: str) -> Iterator[Complaint]:
    panes, state = found.get(source.topics.panes), found.get(source.topics.state)
    if panes is None or state is None or panes.partitions == state.partitions:
        return
    command = f"kafka-topics.sh --bootstrap-server {server} --alter --topic"
    used = f"streams are spread over the {state.partitions} of {source.topics.state}"
    if panes.partitions < state.partitions:
        yield Complaint(
            source.topics.panes,
            f"{panes.partitions} partitions, and {used}",
            f"{command} {source.topics.panes} --partitions {state.partitions}",
        )
    else:
        yield Complaint(
            source.topics.panes,
            f"{panes.partitions} partitions, where {used}: the others stay empty",
            "to use more, see 'Partitions' in docs/operating.md",
            refused=False,
        )


def alter_command(server: str, topic: str, setting: str, value: str) -> str:
    """The command line that changes a setting of a topic."""
    return (
        f"kafka-configs.sh --bootstrap-server {server} --alter --entity-type topics --entity-name {topic} "
        f"--add-config {setting}={value}"
    )
