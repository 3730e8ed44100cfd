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
        raise PydanticCustomError("topic", "should be up to 249 letters, digits, '.', '_' and '-', as Kafka requires")
    return value


Topic = Annotated[str, AfterValidator(_check_topic), Field(json_schema_extra={"pattern": _TOPIC})]
Server = Annotated[str, AfterValidator(_check_server)]


class TopicsConfig(Settings):
    """The topics that driftwatch writes. By default they begin with the source's group, which keeps daemons apart."""

    panes: Annotated[Topic, Field(description="summaries of scored samples, which the test role reads")] = (
        "driftwatch.panes"
    )
    windows: Annotated[Topic, Field(description="a result for each tested window")] = "driftwatch.windows"
    state: Annotated[Topic, Field(description="of each stream's alarm, compacted")] = "driftwatch.state"
    alerts: Annotated[Topic, Field(description="as CloudEvents, compacted")] = "driftwatch.alerts"
    dead_letters: Annotated[Topic, Field(description="messages that cannot be used, with the reason")] = (
        "driftwatch.dead-letters"
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        topics = list(self.model_dump().values())
        repeated = sorted({topic for topic in topics if topics.count(topic) > 1})
        if repeated:
            raise ValueError(f"each needs its own topic, but {', '.join(repeated)} is given twice")
        return self


class KafkaConnection(Settings):
    """Brokers, how to authenticate with them, and how large a message may be."""

    bootstrap_servers: Annotated[
        list[Server],
        BeforeValidator(_split_commas),
        Field(min_length=1, description="host:port of one or more brokers, a list or separated by commas"),
    ]
    security: SecurityConfig = SecurityConfig()
    max_message_bytes: Annotated[
        int, Field(ge=1024, le=1 << 30, description="the largest message that is read or written")
    ] = 16 << 20


class SchemaRegistryConfig(ServersConfig, HttpClientConfig):
    """Confluent Schema Registry, or another one with its HTTP API, which holds the schemas of messages."""

    url: Annotated[
        ServerUrls,
        Field(repr=False, min_length=1, description="or several of one registry, tried in turn"),
    ]
    timeout_s: Annotated[float, Field(gt=0, le=300, description="for each request, seconds")] = 3.0


class SheddingConfig(Settings):
    """Processes only a part of the messages of a partition that lags too far, and all again once it has caught up."""

    max_lag: Annotated[Duration, Field(description="between a message's time and its processing")] = "60s"


class KafkaSource(KafkaConnection):
    """A Kafka topic with batches of samples."""

    kind: Literal["kafka"]
    topic: Annotated[Topic, Field(description="that models' inputs are in")]
    group: Annotated[str, Field(pattern=_GROUP, description="of consumers; driftwatch's topics begin with it")] = (
        DEFAULT_GROUP
    )
    start: Annotated[
        Literal["earliest", "latest"], Field(description="where a group starts that has never read the topic")
    ] = "earliest"
    instance: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9._-]{1,200}$",
            description="a name that is kept over restarts, such as that of a pod in a StatefulSet: a restarted daemon "
            "takes its place again at once, instead of waiting for the session to expire",
        ),
    ] = None
    session_timeout_s: Annotated[
        float, Field(ge=1, le=300, description="seconds after which a dead daemon's partitions go to others")
    ] = 10.0
    rack: Annotated[
        str | None,
        Field(
            min_length=1,
            description="where the daemon runs, such as its availability zone: partitions are read from the replica "
            "there (broker.rack), if brokers use the RackAwareReplicaSelector",
        ),
    ] = None
    topics: TopicsConfig = TopicsConfig()
    schema_registry: Annotated[
        SchemaRegistryConfig | None, Field(description="holds the schemas of Avro and Protobuf messages")
    ] = None
    max_poll_records: Annotated[int, Field(ge=1, le=100_000, description="the most messages in a transaction")] = 500
    fetch_max_wait_ms: Annotated[
        int,
        Field(
            ge=1,
            le=500,
            description="how long brokers collect messages for one transaction: less is sooner, more is cheaper",
        ),
    ] = 200
    shedding: Annotated[
        SheddingConfig | None, Field(description="under overload; if absent, the daemon falls behind")
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
            raise ValueError(f"reads topic {self.topic!r}, which driftwatch itself writes; rename one of them")
        return self


class ReplaySource(Settings):
    """Files, replayed one after another as one stream, without a broker."""

    kind: Literal["replay"]
    data: Annotated[
        list[ConfigLocation], BeforeValidator(listed), Field(min_length=1, description="files or URLs, in this order")
    ]
    stream: Annotated[str, Field(description="one of streams, that the rows belong to")]
    batch: Annotated[int, Field(ge=1, le=65_536, description="samples in a message")] = 64
    rate: Annotated[float | None, Field(gt=0, description="samples per second; as fast as possible if absent")] = None
    time: Annotated[
        str | None,
        Field(description="the column with each row's time; if absent, rows count as arriving at the rate"),
    ] = None
    loop: Annotated[bool, Field(description="whether to begin again at the end")] = False

    @model_validator(mode="after")
    def _once(self) -> Self:
        if self.loop and self.time is not None:
            raise ValueError("time: rows of a loop repeat, and their times with them; leave out time or loop")
        return self
