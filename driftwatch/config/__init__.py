"""The daemon's configuration: what it reads, what it compares with, when it alerts, and where alerts go."""

from __future__ import annotations

from driftwatch.config.alerting import (
    AlertsConfig,
    ExamplesConfig,
    WindowsConfig,
    parse_false_alarm_budget,
)
from driftwatch.config.daemon import (
    DaemonConfig,
    LogConfig,
    MessageFormat,
    ReferencesConfig,
    Role,
    ServerConfig,
    SourceConfig,
    StreamConfig,
    load_config,
)
from driftwatch.config.intake import ForwardConfig, HttpSource, QueueConfig, TlsConfig, is_loopback
from driftwatch.config.kafka_security import OAuthConfig, SecurityConfig
from driftwatch.config.sinks import (
    AlertmanagerSinkConfig,
    AnySinkConfig,
    EmailSinkConfig,
    HttpSinkConfig,
    KafkaSinkConfig,
    LogSinkConfig,
    SinkConfig,
    WebhookSinkConfig,
    named_sinks,
    one_by_one,
)
from driftwatch.config.source import (
    KafkaConnection,
    KafkaSource,
    ReplaySource,
    SchemaRegistryConfig,
    TopicsConfig,
)
from driftwatch.config.tracing import TracingConfig

__all__ = [
    "AlertmanagerSinkConfig",
    "AlertsConfig",
    "AnySinkConfig",
    "DaemonConfig",
    "EmailSinkConfig",
    "ExamplesConfig",
    "ForwardConfig",
    "HttpSinkConfig",
    "HttpSource",
    "KafkaConnection",
    "KafkaSinkConfig",
    "KafkaSource",
    "LogConfig",
    "LogSinkConfig",
    "MessageFormat",
    "OAuthConfig",
    "QueueConfig",
    "ReferencesConfig",
    "ReplaySource",
    "Role",
    "SchemaRegistryConfig",
    "SecurityConfig",
    "ServerConfig",
    "SinkConfig",
    "SourceConfig",
    "StreamConfig",
    "TlsConfig",
    "TopicsConfig",
    "TracingConfig",
    "WebhookSinkConfig",
    "WindowsConfig",
    "is_loopback",
    "load_config",
    "named_sinks",
    "one_by_one",
    "parse_false_alarm_budget",
]
