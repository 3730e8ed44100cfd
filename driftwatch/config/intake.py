"""Samples over HTTP: who may post them, how much is queued, and where they go."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from driftwatch.config.http import fits_header
from driftwatch.config.source import KafkaConnection, Topic
from driftwatch.settings import ConfigPath, Settings

RESPONSES = ".responses"
"""Suffix for the name of a stream's responses, if these are watched."""


class TlsConfig(Settings):
    """The certificate that an HTTPS listener presents, PEM files."""

    certfile: Annotated[ConfigPath, Field(description="with its chain")]
    keyfile: Annotated[ConfigPath, Field(description="of certfile, without a pass phrase")]


class QueueConfig(Settings):
    """The queue between the answer to a request and its scoring or forwarding; beyond it requests are shed."""

    messages: Annotated[int, Field(ge=1, le=10_000_000, description="the most that may wait")] = 10_000
    bytes: Annotated[int, Field(ge=1024, le=1 << 40, description="the most that they may hold")] = 64 << 20


class ForwardConfig(KafkaConnection):
    """The topic that a forwarder writes to."""

    topic: Annotated[Topic, Field(description="that exists already")]


class HttpSource(Settings):
    """Requests of a model, posted by its service: KServe's logger, a mirror, or driftwatch's client."""

    kind: Literal["http"]
    port: Annotated[
        int | None,
        Field(ge=0, le=65_535, description="of a separate listener; if absent, the server of metrics takes samples"),
    ] = None
    host: Annotated[str | None, Field(min_length=1, description="of that listener; 127.0.0.1 if absent")] = None
    tls: Annotated[TlsConfig | None, Field(description="of that listener")] = None
    token: Annotated[SecretStr | None, Field(description="that senders present: authorization: Bearer TOKEN")] = None
    anonymous: Annotated[
        bool, Field(description="whether senders from other machines need no token, since the network keeps others out")
    ] = False
    stream: Annotated[
        str | None, Field(min_length=1, description="for requests that name none; by default the only stream")
    ] = None
    responses: Annotated[
        Literal["ignore", "watch"],
        Field(description="KServe's response events; if watched, those of NAME are the stream NAME.responses"),
    ] = "ignore"
    max_message_bytes: Annotated[
        int, Field(ge=1024, le=1 << 30, description="of a request's body; longer ones are refused")
    ] = 16 << 20
    queue: QueueConfig = QueueConfig()
    forward: Annotated[
        ForwardConfig | None, Field(description="writes samples to this topic instead of scoring them here")
    ] = None

    @field_validator("token")
    @classmethod
    def _strong(cls, token: SecretStr | None) -> SecretStr | None:
        text = token.get_secret_value() if token is not None else None
        if text is not None and (len(text) < 8 or not fits_header(text)):
            raise ValueError("should be 8 ASCII characters or more, without a line break or blanks around them")
        return token

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.port is None and (self.host is not None or self.tls is not None):
            raise ValueError("host and tls need a port: without one, the server of metrics takes the samples")
        if self.queue.bytes < self.max_message_bytes:
            raise ValueError(
                f"queue.bytes {self.queue.bytes} is less than max_message_bytes {self.max_message_bytes}: "
                "the largest message would never fit"
            )
        if self.forward is not None and self.forward.max_message_bytes < self.max_message_bytes:
            raise ValueError("forward.max_message_bytes is less than max_message_bytes: some messages would not fit")
        return self

    def check_streams(self, names: Sequence[str]) -> None:
        """Require a reference for responses that are watched.

        Args:
            names: of the streams.

        Raises:
            ValueError: responses are to be watched, but no stream has the name of a model's responses.
        """
        if self.responses == "watch" and not any(name.endswith(RESPONSES) for name in names):
            raise ValueError(
                f"source.responses: watch needs a stream of responses, such as {names[0]}{RESPONSES}, with a reference"
            )

    def check_reach(self, server_host: str) -> None:
        """Require that strangers cannot post by mistake.

        Args:
            server_host: where the server of metrics listens.

        Raises:
            ValueError: other machines can reach the intake, and neither a token nor `anonymous` is set.
        """
        host = server_host if self.port is None else self.host or "127.0.0.1"
        if self.token is None and not self.anonymous and not is_loopback(host):
            raise ValueError(
                f"source: anyone who can reach {host} could post samples; set source.token, "
                "or source.anonymous: true if the network keeps others out"
            )


def is_loopback(host: str) -> bool:
    """Whether a host address can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
