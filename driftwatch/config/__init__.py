"""The daemon's configuration: what it reads, what it compares with, when it warns, and whom it tells."""

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
    Role,
    ServerConfig,
    SourceConfig,
    StreamConfig,
    load_config,
)
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
from driftwatch.config.source import KafkaSource, ReplaySource, SecurityConfig, TopicsConfig

__all__ = [
    "AlertmanagerSinkConfig",
    "AlertsConfig",
    "AnySinkConfig",
    "DaemonConfig",
    "EmailSinkConfig",
    "ExamplesConfig",
    "HttpSinkConfig",
    "KafkaSinkConfig",
    "KafkaSource",
    "LogConfig",
    "LogSinkConfig",
    "MessageFormat",
    "ReplaySource",
    "Role",
    "SecurityConfig",
    "ServerConfig",
    "SinkConfig",
    "SourceConfig",
    "StreamConfig",
    "TopicsConfig",
    "WebhookSinkConfig",
    "WindowsConfig",
    "load_config",
    "named_sinks",
    "one_by_one",
    "parse_false_alarm_budget",
]
