"""The daemon's configuration: what it reads, what it compares with, when it warns, and whom it tells."""

from __future__ import annotations

from driftwatch.config.alerting import (
    AlertsConfig,
    ExamplesConfig,
    KafkaSinkConfig,
    LogSinkConfig,
    WebhookSinkConfig,
    WindowsConfig,
    parse_false_alarm_budget,
)
from driftwatch.config.daemon import (
    DaemonConfig,
    LogConfig,
    MessageFormat,
    Role,
    ServerConfig,
    SinkConfig,
    SourceConfig,
    StreamConfig,
    load_config,
)
from driftwatch.config.intake import ForwardConfig, HttpSource, QueueConfig, TlsConfig
from driftwatch.config.source import KafkaConnection, KafkaSource, ReplaySource, SecurityConfig, TopicsConfig

__all__ = [
    "AlertsConfig",
    "DaemonConfig",
    "ExamplesConfig",
    "ForwardConfig",
    "HttpSource",
    "KafkaConnection",
    "KafkaSinkConfig",
    "KafkaSource",
    "LogConfig",
    "LogSinkConfig",
    "MessageFormat",
    "QueueConfig",
    "ReplaySource",
    "Role",
    "SecurityConfig",
    "ServerConfig",
    "SinkConfig",
    "SourceConfig",
    "StreamConfig",
    "TlsConfig",
    "TopicsConfig",
    "WebhookSinkConfig",
    "WindowsConfig",
    "load_config",
    "parse_false_alarm_budget",
]
