"""How a client that speaks HTTP proves who it is, and checks whom it talks to."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, HttpUrl, SecretStr, TypeAdapter, model_validator

from driftwatch.errors import ConfigError
from driftwatch.settings import ConfigPath, Settings

_HTTP_URL = TypeAdapter(HttpUrl)


def check_url(value: str) -> str:
    """Passes an http or https address on as it is written.

    Raises:
        ValueError: it is none.
    """
    _HTTP_URL.validate_python(value)
    return value


def check_urls(value: str | list[str]) -> str | list[str]:
    """Passes one address or several on, see `check_url`."""
    for each in [value] if isinstance(value, str) else value:
        check_url(each)
    return value


def origin(url: str) -> str:
    """Scheme, host and port of an address, for people: its path and its user may be secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def tls_context(ca_file: Path | None, where: str) -> ssl.SSLContext:
    """Trust in the usual authorities, or in those of a file alone.

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
    """A server, or several that are one."""

    url: ServerUrls

    @property
    def urls(self) -> list[str]:
        """Every address."""
        return [self.url] if isinstance(self.url, str) else list(self.url)

    @property
    def told(self) -> str:
        """Where they are, for people."""
        return ", ".join(map(origin, self.urls))


class HttpClientConfig(Settings):
    """How a client that speaks HTTP proves who it is, and checks whom it talks to."""

    headers: Annotated[dict[str, str], Field(repr=False, default_factory=dict)]
    username: str | None = None
    password: SecretStr | None = None
    bearer_token: SecretStr | None = None
    ca_file: Annotated[ConfigPath | None, Field(description="certificates to trust instead of the usual ones")] = None
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 5.0

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together; give both or neither")
        if self.username is not None and self.bearer_token is not None:
            raise ValueError("username and bearer_token are two ways to say who it is; give one")
        return self

    def client_options(self, where: str) -> dict[str, Any]:
        """What an `httpx.Client` needs to connect: time-out, trust, and who it is with secrets in clear.

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
