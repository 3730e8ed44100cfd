"""How an HTTP client authenticates itself, and which servers it trusts."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, HttpUrl, TypeAdapter, field_validator, model_validator

from driftwatch.config.secrets import Secret, UserName
from driftwatch.errors import ConfigError
from driftwatch.settings import ConfigPath, Settings

_HTTP_URL = TypeAdapter(HttpUrl)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
NO_HEADER = "cannot be sent in a header: it has a line break, a blank at either end, or characters other than ASCII"


def check_url(value: str) -> str:
    """Return an http or https address unchanged.

    Raises:
        ValueError: it is not one.
    """
    _HTTP_URL.validate_python(value)
    return value


def check_urls(value: str | list[str]) -> str | list[str]:
    """Return one address or several unchanged, see `check_url`."""
    for each in [value] if isinstance(value, str) else value:
        check_url(each)
    return value


def check_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return headers unchanged.

    Raises:
        ValueError: a name or a value cannot be sent; a value may be secret, and is not shown.
    """
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a name of a header")
        if not fits_header(value):
            raise ValueError(f"the value of {name} {NO_HEADER}")
    return headers


def fits_header(value: str) -> bool:
    """Whether a text can be a header's value; one with a trailing line break, as secret files have, cannot."""
    return value.isascii() and value.isprintable() and value == value.strip()


def origin(url: str) -> str:
    """Scheme, host and port of an address, for display: path and user may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def tls_context(ca_file: Path | None, where: str) -> ssl.SSLContext:
    """A context that trusts the usual authorities, or only those in a file.

    Args:
        ca_file: certificates, PEM.
        where: it is configured, for messages.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{ca_file} holds no certificates to trust: {error.strerror or error}", where=f"{where}: ca_file"
        ) from None


ServerUrls = Annotated[str | list[str], AfterValidator(check_urls)]


class ServersConfig(Settings):
    """A server, or several that act as one."""

    url: Annotated[ServerUrls, Field(description="of the server, or of each")]

    @property
    def urls(self) -> list[str]:
        """Every address."""
        return [self.url] if isinstance(self.url, str) else list(self.url)

    @property
    def destination(self) -> str:
        """Their addresses, for display."""
        return ", ".join(map(origin, self.urls))


class HttpClientConfig(Settings):
    """How an HTTP client authenticates itself, and which servers it trusts."""

    headers: Annotated[
        dict[str, str],
        AfterValidator(check_headers),
        Field(repr=False, default_factory=dict, description="sent with each request"),
    ]
    username: Annotated[UserName | None, Field(description="for basic authentication")] = None
    password: Annotated[Secret | None, Field(description="of username")] = None
    bearer_token: Annotated[Secret | None, Field(description="sent as authorization: Bearer TOKEN")] = None
    ca_file: Annotated[ConfigPath | None, Field(description="certificates to trust instead of the usual ones")] = None
    timeout_s: Annotated[float, Field(gt=0, le=300, description="for each request, seconds")] = 5.0

    @field_validator("bearer_token")
    @classmethod
    def _sendable(cls, token: Secret | None) -> Secret | None:
        if token is not None and not fits_header(token.get_secret_value()):
            raise ValueError(NO_HEADER)
        return token

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together; give both or neither")
        if self.username is not None and self.bearer_token is not None:
            raise ValueError("username and bearer_token are two ways to authenticate; give one")
        return self

    def client_options(self, where: str) -> dict[str, Any]:
        """Arguments for `httpx.Client`: time-out, trust, and credentials with secrets in clear.

        Args:
            where: this is configured, for messages.

        Raises:
            ConfigError: the certificates to trust cannot be read.
        """
        headers = dict(self.headers)
        if self.bearer_token is not None:
            headers["authorization"] = f"Bearer {self.bearer_token.get_secret_value()}"
        auth = (self.username, self.password.get_secret_value()) if self.username and self.password else None
        return {"timeout": self.timeout_s, "headers": headers, "auth": auth, "verify": tls_context(self.ca_file, where)}
