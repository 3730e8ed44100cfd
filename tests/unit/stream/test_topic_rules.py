"""Which topics are refused, which are only reported, and the command that corrects each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftwatch.config import KafkaSource
from driftwatch.stream.topic_rules import DAY_MS, Complaint, TopicFound, complaints, letter_bytes, plan_topics

SOURCE = KafkaSource(kind="kafka", bootstrap_servers=["broker:9092"], topic="requests")
INPUT = TopicFound(6, 3, {"max.message.bytes": "1048588"})


def as_created(brokers: int = 3) -> dict[str, TopicFound]:
    """A cluster with the topics as driftwatch creates them."""
    plans = plan_topics(SOURCE, SOURCE.topics.alerts, {"requests": INPUT}, brokers)
    return {"requests": INPUT} | {
        plan.name: TopicFound(plan.partitions, plan.replicas, plan.settings) for plan in plans
    }


def complaints_of(found: dict[str, TopicFound], brokers: int = 3) -> list[Complaint]:
    return complaints(SOURCE, plan_topics(SOURCE, SOURCE.topics.alerts, found, brokers), found)


def with_settings(role: str, **settings: str) -> dict[str, TopicFound]:
    found, name = as_created(), getattr(SOURCE.topics, role)
    more = {key.replace("_", "."): value for key, value in settings.items()}
    return found | {name: replace(found[name], settings={**(found[name].settings or {}), **more})}


@pytest.mark.parametrize("brokers", [1, 2, 3, 7])
def test_driftwatch_does_not_complain_of_topics_that_it_created(brokers: int) -> None:
    assert complaints_of(as_created(brokers), brokers) == []


@pytest.mark.parametrize(("brokers", "replicas", "insync"), [(1, 1, "1"), (2, 2, "1"), (3, 3, "2"), (9, 3, "2")])
def test_the_number_of_replicas_depends_on_the_number_of_brokers(brokers: int, replicas: int, insync: str) -> None:
    for plan in plan_topics(SOURCE, SOURCE.topics.alerts, {"requests": INPUT}, brokers):
        assert (plan.replicas, plan.settings["min.insync.replicas"]) == (replicas, insync)


def test_panes_and_states_have_equally_many_partitions_even_if_the_input_has_grown() -> None:
    found = as_created() | {"requests": replace(INPUT, partitions=12)}
    spread = {plan.role: plan.partitions for plan in plan_topics(SOURCE, SOURCE.topics.alerts, found, 3)}
    assert spread == {"panes": 6, "state": 6, "windows": 6, "alerts": 1, "dead_letters": 1}
    assert complaints_of(found) == []


@pytest.mark.parametrize(
    ("role", "setting", "value", "created"),
    [
        ("panes", "cleanup.policy", "compact", "delete"),
        ("panes", "cleanup.policy", "compact,delete", "delete"),
        ("panes", "retention.ms", str(DAY_MS - 1), str(7 * DAY_MS)),
        ("state", "cleanup.policy", "delete", "compact"),
        ("state", "cleanup.policy", "compact,delete", "compact"),
        ("alerts", "cleanup.policy", "delete", "compact"),
        ("alerts", "min.compaction.lag.ms", "0", str(30 * DAY_MS)),
        ("dead_letters", "cleanup.policy", "compact", "delete"),
        ("dead_letters", "max.message.bytes", "1000000", str(32 << 20)),
        ("windows", "max.message.bytes", "524287", str(32 << 20)),
    ],
)
def test_settings_that_would_lose_messages_are_refused_with_the_command(
    role: str, setting: str, value: str, created: str
) -> None:
    name = getattr(SOURCE.topics, role)
    (complaint,) = complaints_of(with_settings(role, **{setting: value}))
    assert complaint.refused
    assert complaint.topic == name
    assert complaint.what.startswith(f"{setting}={value}: ")
    assert complaint.remedy == (
        "kafka-configs.sh --bootstrap-server broker:9092 --alter --entity-type topics "
        f"--entity-name {name} --add-config {setting}={created}"
    )


@pytest.mark.parametrize(
    ("role", "setting", "value"),
    [
        ("panes", "retention.ms", "-1"),
        ("panes", "retention.ms", str(DAY_MS)),
        ("panes", "max.message.bytes", "1048588"),
        ("windows", "cleanup.policy", "compact"),
        ("windows", "max.message.bytes", "524288"),
        ("alerts", "min.compaction.lag.ms", str(DAY_MS)),
        ("dead_letters", "max.message.bytes", "1048588"),
    ],
)
def test_sufficient_settings_are_accepted(role: str, setting: str, value: str) -> None:
    assert complaints_of(with_settings(role, **{setting: value})) == []


def test_too_few_partitions_for_panes_are_refused_and_more_than_necessary_are_reported() -> None:
    found, panes = as_created(), SOURCE.topics.panes
    (complaint,) = complaints_of(found | {panes: replace(found[panes], partitions=5)})
    assert complaint.refused
    assert complaint.remedy.endswith(f"--alter --topic {panes} --partitions 6")
    (complaint,) = complaints_of(found | {panes: replace(found[panes], partitions=12)})
    assert not complaint.refused
    assert "the others stay empty" in complaint.what


def test_reduced_safety_is_reported_and_not_refused() -> None:
    found = as_created()
    alone = replace(found[SOURCE.topics.panes], replicas=1)
    (complaint,) = complaints_of(found | {SOURCE.topics.panes: alone})
    assert (complaint.refused, complaint.what.split()[0]) == (False, "1")
    for least in ("1", "3"):
        (complaint,) = complaints_of(with_settings("panes", **{"min.insync.replicas": least}))
        assert not complaint.refused
        assert complaint.remedy.endswith("--add-config min.insync.replicas=2")


def test_settings_that_cannot_be_read_are_reported_and_not_refused() -> None:
    found = {name: replace(topic, settings=None) for name, topic in as_created().items()}
    reported = complaints_of(found)
    assert {complaint.topic for complaint in reported} == set(SOURCE.topics.model_dump().values())
    assert all("DescribeConfigs" in complaint.remedy and not complaint.refused for complaint in reported)


def test_for_a_topic_that_may_not_be_created_the_command_is_given() -> None:
    plans = {plan.role: plan for plan in plan_topics(SOURCE, "drift", {"requests": INPUT}, 3)}
    assert plans["alerts"].command("broker:9092") == (
        "kafka-topics.sh --bootstrap-server broker:9092 --create --topic drift --partitions 1 --replication-factor 3 "
        f"--config cleanup.policy=compact --config min.compaction.lag.ms={30 * DAY_MS} "
        "--config max.message.bytes=33554432 --config min.insync.replicas=2 "
        "--config message.timestamp.type=LogAppendTime"
    )


@pytest.mark.parametrize(
    ("letters", "longest"),
    [
        (None, 2 * SOURCE.max_message_bytes),
        (TopicFound(1, 1, {"max.message.bytes": "2000000"}), 2_000_000),
        (TopicFound(1, 1, {"max.message.bytes": "2000000000"}), 2 * SOURCE.max_message_bytes),
        (TopicFound(1, 1, None), 1_048_588),
    ],
)
def test_dead_letters_are_as_long_as_their_topic_takes(letters: TopicFound | None, longest: int) -> None:
    assert letter_bytes(SOURCE, letters) == longest


def test_a_state_topic_that_brokers_hardly_compact_is_reported_and_not_refused() -> None:
    (complaint,) = complaints_of(with_settings("state", segment_bytes=str(1 << 30)))
    assert not complaint.refused
    assert "segment.bytes=1073741824" in complaint.what
    assert complaint.remedy.endswith("--add-config segment.bytes=16777216")
