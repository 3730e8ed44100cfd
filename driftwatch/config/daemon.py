"""The daemon's configuration as a whole, and the checks across its sections."""

from __future__ import annotations

import hashlib
import json
import re
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from driftwatch.config.alerting import AlertsConfig, WindowsConfig
from driftwatch.config.durations import Duration, duration_ms
from driftwatch.config.http import check_url
from driftwatch.config.intake import HttpSource
from driftwatch.config.sinks import KafkaSinkConfig, SinkConfig, named_sinks, one_by_one
from driftwatch.config.source import KafkaSource, ReplaySource
from driftwatch.config.tracing import TracingConfig
from driftwatch.settings import ConfigLocation, ConfigPath, Settings, load_yaml_model

Role = Literal["score", "test"]
MessageFormat = Literal["auto", "json", "v1", "v2", "rows", "npy", "arrow", "cloudevents", "avro", "protobuf"]


class StreamConfig(Settings):
    """One stream of samples, and the reference it is compared with."""

    name: Annotated[
        str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$", description="that its messages carry")
    ]
    reference: Annotated[ConfigLocation, Field(description="its bundle: a folder or URL")]
    format: Annotated[
        MessageFormat, Field(description="of its messages; auto goes by content-type and content, message by message")
    ] = "auto"
    sample_fraction: Annotated[float, Field(gt=0, le=1, description="of its samples that are scored")] = 1.0
    quiet_after: Annotated[
        Literal["never"] | Duration | None,
        Field(description="how long it may be silent before an alert says so; alerts.quiet_after if absent"),
    ] = None


class ReferencesConfig(Settings):
    """How references are replaced while the daemon runs."""

    watch_s: Annotated[
        float,
        Field(
            ge=1,
            le=86_400,
            description="seconds between checks for another bundle at the place of a stream's reference; "
            "MLflow is checked on SIGHUP only",
        ),
    ] = 30.0
    patience_s: Annotated[
        float,
        Field(gt=0, le=86_400, description="how long panes wait for the reference that scored them, if it is missing"),
    ] = 300.0


class ServerConfig(Settings):
    """Where metrics, health and the status page are served."""

    host: Annotated[str, Field(min_length=1, description="0.0.0.0 for all addresses of this machine")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535, description="0 for any that is free")] = 9464
    enabled: Annotated[bool, Field(description="whether to serve them at all")] = True
    external_url: Annotated[
        str | None,
        AfterValidator(lambda url: url and check_url(url)),
        Field(description="where people reach the status page; alerts link to it"),
    ] = None


class LogConfig(Settings):
    """The daemon's log."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="lines of this level and above are written")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "console"], Field(description="auto is readable on a terminal and JSON elsewhere")
    ] = "auto"


SourceConfig = Annotated[KafkaSource | HttpSource | ReplaySource, Field(discriminator="kind")]


_DEVICE = r"^(auto|cpu|cuda(:[0-9]+)?)$"


def _check_device(value: str) -> str:
    if not re.fullmatch(_DEVICE, value):
        raise PydanticCustomError("device", "should be auto, cpu, cuda, or one of several GPUs such as cuda:1")
    return value


class DaemonConfig(Settings):
    """Everything that ``driftwatch run`` needs to know."""

    elsewhere = dict.fromkeys(("data", "training"), "that is for driftwatch train")
    least = "source: {kind: http} and streams: [{name: NAME, reference: BUNDLE}]"

    source: SourceConfig
    streams: Annotated[list[StreamConfig], Field(max_length=1000, description="to watch")] = Field(default_factory=list)
    references: ReferencesConfig = ReferencesConfig()
    windows: WindowsConfig = WindowsConfig()
    alerts: AlertsConfig = AlertsConfig()
    sinks: Annotated[list[SinkConfig], Field(description="where alerts go; none if empty")] = Field(
        default_factory=list
    )
    server: ServerConfig = ServerConfig()
    roles: Annotated[
        list[Role],
        Field(min_length=1, max_length=2, description="what this daemon does; with Kafka, others may do the rest"),
    ] = Field(default_factory=lambda: list[Role](("score", "test")))
    device: Annotated[
        str,
        AfterValidator(_check_device),
        Field(json_schema_extra={"pattern": _DEVICE}, description="to score on; auto is a GPU if there is one"),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "float32"],
        Field(description="of scoring on a GPU: auto rounds factors of convolutions to TF32, twice as fast"),
    ] = "auto"
    log: LogConfig = LogConfig()
    tracing: Annotated[TracingConfig | None, Field(description="no traces are sent if absent")] = None
    state_dir: Annotated[
        ConfigPath | None,
        Field(description="folder for state that Kafka does not keep: of a replay, and of samples over HTTP"),
    ] = None

    def stream(self, name: str) -> StreamConfig | None:
        """Return the stream of that name, or None."""
        return next((stream for stream in self.streams if stream.name == name), None)

    @property
    def quiet_after_ms(self) -> dict[str, int]:
        """How long streams may be silent, by name; streams without a limit are left out."""
        limits = {stream.name: stream.quiet_after or self.alerts.quiet_after for stream in self.streams}
        return {name: duration_ms(limit) for name, limit in limits.items() if limit and limit != "never"}

    @property
    def alerts_topic(self) -> str:
        """Kafka topic for alerts: of the sink of kind kafka, else of the source; empty without Kafka."""
        if not isinstance(self.source, KafkaSource):
            return ""
        stated = [sink.topic for sink in self.sinks if isinstance(sink, KafkaSinkConfig) and sink.topic]
        return stated[0] if stated else self.source.topics.alerts

    @property
    def local_state(self) -> Path | None:
        """The folder for state, if the daemon keeps it rather than Kafka."""
        return None if isinstance(self.source, KafkaSource) else self.state_dir

    @property
    def has_both_roles(self) -> bool:
        """Whether samples are scored and tested by the same daemon."""
        return set(self.roles) == {"score", "test"}

    @property
    def replicated(self) -> dict[str, str]:
        """What replicas have in common, as labels: those of one group, topic and roles should have one digest.

        It covers streams, windows and alerts, where they differ from the defaults, so that it survives an upgrade.
        References are left out: their bundles may stand elsewhere, and are replaced at different times.
        """
        if not isinstance(self.source, KafkaSource):
            return {}
        fields = self.model_dump(mode="json", include={"streams", "windows", "alerts"}, exclude_defaults=True)
        fields["streams"] = sorted(
            ({**stream, "reference": ""} for stream in fields["streams"]), key=itemgetter("name")
        )
        digest = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]
        return {
            "group": self.source.group,
            "topic": self.source.topic,
            "roles": ",".join(sorted(self.roles)),
            "digest": digest,
        }

    @property
    def tests(self) -> bool:
        """Whether windows are tested here, and thresholds needed; not in a daemon that only scores."""
        return "test" in self.roles

    @property
    def forwards(self) -> bool:
        """Whether this is a forwarder: samples come over HTTP and go to Kafka unchanged."""
        return isinstance(self.source, HttpSource) and self.source.forward is not None

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        names = [stream.name for stream in self.streams]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"streams: the name {', '.join(map(repr, repeated))} is given twice")
        if len(set(self.roles)) != len(self.roles):
            raise ValueError(f"roles: {self.roles} names one twice")
        kafka_sinks = [sink for sink in self.sinks if isinstance(sink, KafkaSinkConfig)]
        if len(kafka_sinks) > 1:
            raise ValueError("sinks: more than one of kind kafka; an alert is written to one topic")
        sinks = [name for name, _ in named_sinks(one_by_one(self.sinks))]
        alike = sorted({name for name in sinks if sinks.count(name) > 1})
        if alike:
            raise ValueError(f"sinks: the name {', '.join(map(repr, alike))} is given twice")
        return self

    @model_validator(mode="after")
    def _fit_the_source(self) -> Self:
        if isinstance(self.source, HttpSource):
            self.source.check_reach(self.server.host)
            if self.source.port is None and not self.server.enabled:
                raise ValueError("source: needs its own port where server.enabled is false")
        if self.forwards:
            if self.streams or self.sinks:
                raise ValueError(
                    "a forwarder has no streams and no sinks; they belong to the daemon that reads its topic"
                )
            return self
        if not self.streams:
            raise ValueError("streams: at least one is needed, with its name and reference")
        registered = [stream.name for stream in self.streams if stream.format in ("avro", "protobuf")]
        if registered and getattr(self.source, "schema_registry", None) is None:
            raise ValueError(
                f"streams: {', '.join(registered)} of format avro or protobuf, "
                "which needs a Kafka source with a schema_registry"
            )
        if isinstance(self.source, KafkaSource):
            self._check_topics(self.source)
        else:
            self._check_without_kafka(self.source)
        return self

    def _check_topics(self, source: KafkaSource) -> None:
        others = [source.topic, *source.topics.model_dump(exclude={"alerts"}).values()]
        if self.alerts_topic in others:
            raise ValueError(f"sinks: topic {self.alerts_topic!r} is in use for something else; alerts need their own")

    def _check_without_kafka(self, source: HttpSource | ReplaySource) -> None:
        kind = "a replay" if isinstance(source, ReplaySource) else "a daemon that receives samples over HTTP"
        names = [stream.name for stream in self.streams]
        if source.stream is not None and source.stream not in names:
            raise ValueError(f"source.stream: {source.stream!r} is not among the streams {', '.join(names)}")
        if isinstance(source, HttpSource):
            source.check_streams(names)
        if any(isinstance(sink, KafkaSinkConfig) for sink in self.sinks):
            raise ValueError(f"sinks: kind kafka needs a Kafka source; {kind} has no broker to write to")
        if not self.has_both_roles:
            raise ValueError(f"roles: {kind} runs both, score and test, in one process")


def load_config(path: str | Path) -> DaemonConfig:
    """Read the daemon's configuration.

    Raises:
        ConfigError: see `driftwatch.settings.load_yaml_model`.
    """
    return load_yaml_model(path, DaemonConfig)
