"""Samples that come by HTTP: who may post them, how much is held, and where they go."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from driftwatch.config.http import fits_header
from driftwatch.config.source import KafkaConnection, Topic
from driftwatch.settings import ConfigPath, Settings

RESPONSES = ".responses"
"""What is put behind the name of a stream whose responses are watched."""


class TlsConfig(Settings):
    """The certificate that an HTTPS listener shows, PEM files."""

    certfile: Annotated[ConfigPath, Field(description="with its chain")]
    keyfile: ConfigPath


class QueueConfig(Settings):
    """What waits between the answer to a request and its scoring, or its way to Kafka; beyond it requests are shed."""

    messages: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    bytes: Annotated[int, Field(ge=1024, le=1 << 40)] = 64 << 20


class ForwardConfig(KafkaConnection):
    """The topic that a forwarder writes what it is sent to."""

    topic: Topic


class HttpSource(Settings):
    """Requests of a model, posted by its service: KServe's logger, a mirror, or driftwatch's client."""

    kind: Literal["http"]
    port: Annotated[
        int | None,
        Field(ge=0, le=65_535, description="of a listener of its own; the server of metrics takes it in if absent"),
    ] = None
    host: Annotated[str | None, Field(min_length=1, description="of that listener; 127.0.0.1 if absent")] = None
    tls: Annotated[TlsConfig | None, Field(description="of that listener")] = None
    token: Annotated[SecretStr | None, Field(description="that senders show: authorization: Bearer TOKEN")] = None
    anonymous: Annotated[
        bool, Field(description="whether senders from other machines need no token, since the network keeps others out")
    ] = False
    stream: Annotated[
        str | None, Field(min_length=1, description="of requests that name none; the only stream if there is but one")
    ] = None
    responses: Annotated[
        Literal["ignore", "watch"],
        Field(description="KServe's response events; watched, those of NAME are the stream NAME.responses"),
    ] = "ignore"
    max_message_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 16 << 20
    queue: QueueConfig = QueueConfig()
    forward: Annotated[
        ForwardConfig | None, Field(description="writes samples to this topic instead of scoring them here")
    ] = None

    @field_validator("token")
    @classmethod
    def _strong(cls, token: SecretStr | None) -> SecretStr | None:
        shown = token.get_secret_value() if token is not None else None
        if shown is not None and (len(shown) < 8 or not fits_header(shown)):
            raise ValueError("should be 8 ASCII characters or more, without a line break or blanks around them")
        return token

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.port is None and (self.host is not None or self.tls is not None):
            raise ValueError("host and tls need a port: without one, the server of metrics takes samples in, as it is")
        if self.queue.bytes < self.max_message_bytes:
            raise ValueError(
                f"queue.bytes {self.queue.bytes} is less than max_message_bytes {self.max_message_bytes}: "
                "the largest message would never fit"
            )
        if self.forward is not None and self.forward.max_message_bytes < self.max_message_bytes:
            raise ValueError("forward.max_message_bytes is less than max_message_bytes: a message could not go on")
        return self

    def check_streams(self, names: Sequence[str]) -> None:
        """Sees to it that responses that are watched have a reference.

        Args:
            names: of the streams.

        Raises:
            ValueError: responses are to be watched, and no stream is named as those of a model are.
        """
        if self.responses == "watch" and not any(name.endswith(RESPONSES) for name in names):
            raise ValueError(
                f"source.responses: watch needs a stream of responses, such as {names[0]}{RESPONSES}, with a reference"
            )

    def check_reach(self, server_host: str) -> None:
        """Sees to it that strangers cannot post by mistake.

        Args:
            server_host: where the server of metrics listens.

        Raises:
            ValueError: other machines can reach the intake, and neither a token nor `anonymous` is stated.
        """
        host = server_host if self.port is None else self.host or "127.0.0.1"
        if self.token is None and not self.anonymous and not is_loopback(host):
            raise ValueError(
                f"source: whoever reaches {host} could post samples; set source.token, "
                "or source.anonymous: true if the network keeps others out"
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
