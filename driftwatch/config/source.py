"""Where samples come from: a Kafka topic, or files replayed as one."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from driftwatch.config.durations import Duration
from driftwatch.config.http import HttpClientConfig, ServersConfig, ServerUrls
from driftwatch.config.kafka_security import SecurityConfig
from driftwatch.settings import ConfigLocation, Settings, listed

_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


def _split_commas(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _check_server(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not _HOST.fullmatch(host) or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"should be host:port, got {value!r}")
    return value


_GROUP = r"^[A-Za-z0-9._-]{1,200}$"
DEFAULT_GROUP = "driftwatch"

_TOPIC = r"^[A-Za-z0-9._-]{1,249}$"


def _check_topic(value: str) -> str:
    if not re.fullmatch(_TOPIC, value) or value in (".", ".."):
        raise PydanticCustomError("topic", "should be up to 249 letters, digits, '.', '_' and '-', as Kafka has it")
    return value


Topic = Annotated[str, AfterValidator(_check_topic), Field(json_schema_extra={"pattern": _TOPIC})]
Server = Annotated[str, AfterValidator(_check_server)]


class TopicsConfig(Settings):
    """The topics that driftwatch writes; a source's own begin with its group, so that two daemons do not mix theirs."""

    panes: Topic = "driftwatch.panes"
    windows: Topic = "driftwatch.windows"
    state: Topic = "driftwatch.state"
    alerts: Topic = "driftwatch.alerts"
    dead_letters: Topic = "driftwatch.dead-letters"

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        topics = list(self.model_dump().values())
        repeated = sorted({topic for topic in topics if topics.count(topic) > 1})
        if repeated:
            raise ValueError(f"each needs a topic of its own, but {', '.join(repeated)} is given twice")
        return self


class KafkaConnection(Settings):
    """Brokers, how to prove oneself to them, and how large a message may be."""

    bootstrap_servers: Annotated[list[Server], BeforeValidator(_split_commas), Field(min_length=1)]
    security: SecurityConfig = SecurityConfig()
    max_message_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 16 << 20


class SchemaRegistryConfig(ServersConfig, HttpClientConfig):
    """Confluent Schema Registry, or another that speaks its HTTP API, which knows how messages are written."""

    url: Annotated[
        ServerUrls,
        Field(repr=False, min_length=1, description="or several of one registry, each asked where the last is silent"),
    ]
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 3.0


class SheddingConfig(Settings):
    """Looks at a part of the messages of a partition that is too far behind, and at all of them again afterwards."""

    max_lag: Annotated[Duration, Field(description="between a message's time and its being looked at")] = "60s"


class KafkaSource(KafkaConnection):
    """A Kafka topic with batches of samples."""

    kind: Literal["kafka"]
    topic: Topic
    group: Annotated[str, Field(pattern=_GROUP, description="of consumers; driftwatch's topics begin with it")] = (
        DEFAULT_GROUP
    )
    start: Annotated[
        Literal["earliest", "latest"], Field(description="where a group that has never read the topic begins")
    ] = "earliest"
    instance: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9._-]{1,200}$",
            description="a name that stays the same over restarts, such as that of a pod in a StatefulSet: "
            "a restarted daemon takes its place at once instead of waiting for the session to expire",
        ),
    ] = None
    session_timeout_s: Annotated[float, Field(ge=1, le=300)] = 10.0
    rack: Annotated[
        str | None,
        Field(
            min_length=1,
            description="where the daemon runs, such as its availability zone: partitions are read from the replica "
            "there (broker.rack), if brokers have the RackAwareReplicaSelector",
        ),
    ] = None
    topics: TopicsConfig = TopicsConfig()
    schema_registry: Annotated[
        SchemaRegistryConfig | None, Field(description="that knows the schemas of Avro and Protobuf messages")
    ] = None
    max_poll_records: Annotated[int, Field(ge=1, le=100_000)] = 500
    fetch_max_wait_ms: Annotated[
        int,
        Field(
            ge=1,
            le=500,
            description="how long brokers gather what comes for one transaction: less is sooner, more is cheaper",
        ),
    ] = 200
    shedding: Annotated[
        SheddingConfig | None, Field(description="when more comes than can be scored; it falls behind if absent")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _topics_of_group(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        group, stated = data.get("group", DEFAULT_GROUP), data.get("topics", {})
        if not isinstance(stated, dict) or not isinstance(group, str) or not re.fullmatch(_GROUP, group):
            return data
        usual = {name: field.default for name, field in TopicsConfig.model_fields.items()}
        named = {name: topic.replace(DEFAULT_GROUP, group, 1) for name, topic in usual.items()}
        return {**data, "topics": {**named, **stated}}

    @model_validator(mode="after")
    def _no_loop(self) -> Self:
        if self.topic in self.topics.model_dump().values():
            raise ValueError(f"reads topic {self.topic!r} that driftwatch itself writes; rename one of them")
        return self


class ReplaySource(Settings):
    """Files, replayed one after another as one stream, without a broker."""

    kind: Literal["replay"]
    data: Annotated[list[ConfigLocation], BeforeValidator(listed), Field(min_length=1)]
    stream: str
    batch: Annotated[int, Field(ge=1, le=65_536)] = 64
    rate: Annotated[float, Field(gt=0, description="samples per second; as fast as possible if absent")] | None = None
    time: Annotated[
        str | None,
        Field(description="the column that says when each row happened; as if they came at the rate if absent"),
    ] = None
    loop: bool = False

    @model_validator(mode="after")
    def _once(self) -> Self:
        if self.loop and self.time is not None:
            raise ValueError("time: what comes again in a loop is not of the same time; leave out one of both")
        return self
