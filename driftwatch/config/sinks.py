"""Where alerts go: topics, Alertmanager, webhooks, mail, and the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from email.errors import HeaderParseError
from email.headerregistry import Address as MailAddress
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from driftwatch.config.http import HttpClientConfig, ServersConfig, ServerUrls, check_url, origin
from driftwatch.config.secrets import Secret, UserName
from driftwatch.config.source import Topic
from driftwatch.settings import ConfigPath, Settings

RESERVED_LABELS = frozenset({"alertname", "stream", "severity", "reference"})
SUBMISSION_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def _check_address(value: str) -> str:
    try:
        MailAddress(addr_spec=value)
    except (ValueError, HeaderParseError):
        raise ValueError(f"should be a mail address such as on-call@example.com, got {value!r}") from None
    return value


Address = Annotated[str, AfterValidator(_check_address)]
SinkName = Annotated[
    str | None,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
        description="in metrics, logs and the consumer group; if absent, the kind or template, numbered if repeated",
    ),
]
Attempts = Annotated[
    int, Field(ge=1, le=1000, description="before an alert is given up; 40 take about a quarter of an hour")
]
QueueSize = Annotated[
    int,
    Field(ge=1, le=1_000_000, description="the most alerts that may wait to be sent, where Kafka does not keep them"),
]
LabelName = Annotated[str, Field(pattern=r"^([A-Za-z]|_[A-Za-z0-9])[A-Za-z0-9_]{0,99}$")]


class KafkaSinkConfig(Settings):
    """Alerts to a topic of the source's cluster, as CloudEvents."""

    kind: Literal["kafka"]
    topic: Annotated[Topic | None, Field(description="the source's topics.alerts if absent")] = None

    @property
    def destination(self) -> str:
        """Where alerts go, for display."""
        return self.topic or "the source's topics.alerts"


class LogSinkConfig(Settings):
    """Alerts to the daemon's own log."""

    kind: Literal["log"]

    @property
    def destination(self) -> str:
        """Where alerts go, for display."""
        return "the daemon's log"


class HttpSinkConfig(HttpClientConfig):
    """A sink that is reached by HTTP."""

    name: SinkName = None


class WebhookSinkConfig(HttpSinkConfig):
    """Alerts by HTTP POST, in the receiver's format; address and headers may hold secrets and are not shown."""

    kind: Literal["webhook"]
    url: Annotated[str, AfterValidator(check_url), Field(repr=False, description="that alerts are posted to")]
    template: Annotated[
        Literal["cloudevents", "slack", "teams", "pagerduty"],
        Field(description="what is posted: the alert itself, or a message for a chat or a pager"),
    ] = "cloudevents"
    routing_key: Annotated[Secret | None, Field(description="of PagerDuty's Events API v2 integration")] = None
    max_attempts: Attempts = 40
    queue: QueueSize = 1000

    @property
    def destination(self) -> str:
        """Where alerts go, for display: the host only, since the path may be secret."""
        return origin(self.url)

    @model_validator(mode="after")
    def _key_where_needed(self) -> Self:
        if (self.template == "pagerduty") != (self.routing_key is not None):
            raise ValueError("template pagerduty needs a routing_key, and no other template takes one")
        return self


class AlertmanagerSinkConfig(ServersConfig, HttpSinkConfig):
    """Firing alerts, kept up to date in Prometheus Alertmanager (API v2); each of several addresses gets them all."""

    kind: Literal["alertmanager"]
    url: Annotated[
        ServerUrls,
        Field(repr=False, min_length=1, description="of Alertmanager, or of every member of its cluster"),
    ]
    labels: Annotated[
        dict[LabelName, Annotated[str, Field(min_length=1)]],
        Field(description="more labels, to route and silence by", default_factory=dict),
    ]
    resend_s: Annotated[float, Field(gt=0, le=3600, description="how often firing alerts are sent again")] = 60.0
    expires_s: Annotated[
        float,
        Field(gt=0, le=86_400, description="after which Alertmanager resolves an alert that is no longer sent"),
    ] = 600.0

    @model_validator(mode="after")
    def _keeps_up(self) -> Self:
        reserved = sorted(RESERVED_LABELS & set(self.labels))
        if reserved:
            raise ValueError(f"labels: driftwatch sets {', '.join(reserved)} itself; choose another name")
        if self.expires_s < 2 * self.resend_s:
            raise ValueError(
                f"expires_s {self.expires_s:g} should be twice resend_s {self.resend_s:g} or more: "
                "one lost message would end an alert that still fires"
            )
        return self


class EmailSinkConfig(Settings):
    """Alerts as mail over SMTP."""

    model_config = ConfigDict(serialize_by_alias=True)

    kind: Literal["email"]
    name: SinkName = None
    host: Annotated[str, Field(min_length=1, description="the mail server")]
    port: Annotated[int | None, Field(ge=1, le=65_535, description="if absent, 587, 465 or 25 by encryption")] = None
    encryption: Annotated[
        Literal["starttls", "tls", "none"],
        Field(description="starttls: after the greeting; tls: from the first byte"),
    ] = "starttls"
    sender: Annotated[Address, Field(alias="from", description="the sender's address")]
    to: Annotated[list[Address], Field(min_length=1, max_length=100, description="addresses")]
    username: Annotated[UserName | None, Field(description="of the mail server, if it requires one")] = None
    password: Annotated[Secret | None, Field(description="of username")] = None
    ca_file: Annotated[ConfigPath | None, Field(description="certificates to trust instead of the usual ones")] = None
    timeout_s: Annotated[float, Field(gt=0, le=300, description="for each step, seconds")] = 10.0
    max_attempts: Attempts = 40
    queue: QueueSize = 1000

    @property
    def destination(self) -> str:
        """Where alerts go, for display."""
        return f"{', '.join(self.to)} by {self.host}:{self.server_port}"

    @property
    def server_port(self) -> int:
        """The configured port, or the usual one."""
        return self.port or SUBMISSION_PORTS[self.encryption]

    @model_validator(mode="after")
    def _password_is_safe(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together; give both or neither")
        if self.password is not None and self.encryption == "none":
            raise ValueError("a password would travel in clear; set encryption to starttls or tls")
        return self


AnySinkConfig = KafkaSinkConfig | AlertmanagerSinkConfig | WebhookSinkConfig | EmailSinkConfig | LogSinkConfig
SinkConfig = Annotated[AnySinkConfig, Field(discriminator="kind")]


def named_sinks(configs: Sequence[AnySinkConfig]) -> list[tuple[str, AnySinkConfig]]:
    """Every sink with the name that metrics and logs use.

    That is the configured name, else the template or kind; sinks that would share one are numbered. An Alertmanager
    with several addresses counts as that many sinks (see `one_by_one`).
    """
    defaults = [_default_name(config) for config in configs]
    repeats, seen, named = Counter(defaults), Counter[str](), list[tuple[str, AnySinkConfig]]()
    for base, config in zip(defaults, configs, strict=True):
        seen[base] += 1
        given = getattr(config, "name", None)
        named.append((given or (base if repeats[base] == 1 else f"{base}-{seen[base]}"), config))
    return named


def one_by_one(configs: Sequence[AnySinkConfig]) -> list[AnySinkConfig]:
    """The same sinks, with an Alertmanager of several addresses split into one sink for each."""
    found: list[AnySinkConfig] = []
    for config in configs:
        if isinstance(config, AlertmanagerSinkConfig) and len(config.urls) > 1:
            for number, url in enumerate(config.urls, 1):
                name = f"{config.name}-{number}" if config.name else None
                found.append(config.model_copy(update={"url": url, "name": name}))
        else:
            found.append(config)
    return found


def _default_name(config: AnySinkConfig) -> str:
    if getattr(config, "name", None):
        return f"{config.kind}/named"
    if isinstance(config, WebhookSinkConfig) and config.template != "cloudevents":
        return config.template
    return config.kind
