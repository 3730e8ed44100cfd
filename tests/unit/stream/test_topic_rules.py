"""Which topics are refused, which are only told of, and by which command each is put right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftwatch.config import KafkaSource
from driftwatch.stream.topic_rules import DAY_MS, Complaint, TopicFound, complaints, plan_topics

SOURCE = KafkaSource(kind="kafka", bootstrap_servers=["broker:9092"], topic="requests")
INPUT = TopicFound(6, 3, {"max.message.bytes": "1048588"})


def as_made(brokers: int = 3) -> dict[str, TopicFound]:
    """A cluster in which driftwatch has made its topics."""
    plans = plan_topics(SOURCE, SOURCE.topics.alerts, {"requests": INPUT}, brokers)
    return {"requests": INPUT} | {
        plan.name: TopicFound(plan.partitions, plan.replicas, plan.settings) for plan in plans
    }


def told(found: dict[str, TopicFound], brokers: int = 3) -> list[Complaint]:
    return complaints(SOURCE, plan_topics(SOURCE, SOURCE.topics.alerts, found, brokers), found)


def set_otherwise(role: str, **settings: str) -> dict[str, TopicFound]:
    found, name = as_made(), getattr(SOURCE.topics, role)
    more = {key.replace("_", "."): value for key, value in settings.items()}
    return found | {name: replace(found[name], settings={**(found[name].settings or {}), **more})}


@pytest.mark.parametrize("brokers", [1, 2, 3, 7])
def test_what_it_makes_it_has_nothing_to_say_against(brokers: int) -> None:
    assert told(as_made(brokers), brokers) == []


@pytest.mark.parametrize(("brokers", "replicas", "insync"), [(1, 1, "1"), (2, 2, "1"), (3, 3, "2"), (9, 3, "2")])
def test_replicas_are_what_the_cluster_has_brokers_for(brokers: int, replicas: int, insync: str) -> None:
    for plan in plan_topics(SOURCE, SOURCE.topics.alerts, {"requests": INPUT}, brokers):
        assert (plan.replicas, plan.settings["min.insync.replicas"]) == (replicas, insync)


def test_panes_and_states_are_spread_alike_even_where_the_input_has_grown() -> None:
    found = as_made() | {"requests": replace(INPUT, partitions=12)}
    spread = {plan.role: plan.partitions for plan in plan_topics(SOURCE, SOURCE.topics.alerts, found, 3)}
    assert spread == {"panes": 6, "state": 6, "windows": 6, "alerts": 1, "dead_letters": 1}
    assert told(found) == []


@pytest.mark.parametrize(
    ("role", "setting", "value", "made"),
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
def test_what_would_lose_something_is_refused_with_the_command(role: str, setting: str, value: str, made: str) -> None:
    name = getattr(SOURCE.topics, role)
    (complaint,) = told(set_otherwise(role, **{setting: value}))
    assert complaint.refused
    assert complaint.topic == name
    assert complaint.what.startswith(f"{setting}={value}: ")
    assert complaint.remedy == (
        "kafka-configs.sh --bootstrap-server broker:9092 --alter --entity-type topics "
        f"--entity-name {name} --add-config {setting}={made}"
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
def test_what_will_do_is_let_be(role: str, setting: str, value: str) -> None:
    assert told(set_otherwise(role, **{setting: value})) == []


def test_fewer_panes_partitions_than_streams_are_spread_over_are_refused_and_more_are_of_no_use() -> None:
    found, panes = as_made(), SOURCE.topics.panes
    (complaint,) = told(found | {panes: replace(found[panes], partitions=5)})
    assert complaint.refused
    assert complaint.remedy.endswith(f"--alter --topic {panes} --partitions 6")
    (complaint,) = told(found | {panes: replace(found[panes], partitions=12)})
    assert not complaint.refused
    assert "the others stay empty" in complaint.what


def test_what_is_less_safe_is_told_and_not_refused() -> None:
    found = as_made()
    alone = replace(found[SOURCE.topics.panes], replicas=1)
    (complaint,) = told(found | {SOURCE.topics.panes: alone})
    assert (complaint.refused, complaint.what.split()[0]) == (False, "1")
    for least in ("1", "3"):
        (complaint,) = told(set_otherwise("panes", **{"min.insync.replicas": least}))
        assert not complaint.refused
        assert complaint.remedy.endswith("--add-config min.insync.replicas=2")


def test_settings_that_the_broker_does_not_tell_are_no_reason_to_refuse() -> None:
    found = {name: replace(topic, settings=None) for name, topic in as_made().items()}
    said = told(found)
    assert {complaint.topic for complaint in said} == set(SOURCE.topics.model_dump().values())
    assert all("DescribeConfigs" in complaint.remedy and not complaint.refused for complaint in said)


def test_a_topic_that_may_not_be_made_is_told_as_a_command() -> None:
    plans = {plan.role: plan for plan in plan_topics(SOURCE, "drift", {"requests": INPUT}, 3)}
    assert plans["alerts"].command("broker:9092") == (
        "kafka-topics.sh --bootstrap-server broker:9092 --create --topic drift --partitions 1 --replication-factor 3 "
        f"--config cleanup.policy=compact --config min.compaction.lag.ms={30 * DAY_MS} "
        "--config max.message.bytes=33554432 --config min.insync.replicas=2 "
        "--config message.timestamp.type=LogAppendTime"
    )
