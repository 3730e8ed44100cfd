"""One HTTP POST to a receiver of alerts, and whether it is worth trying again."""

from __future__ import annotations

import math
import ssl
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from driftwatch.alerts.attempts import TryAgain
from driftwatch.alerts.wording import shorten
from driftwatch.config import HttpSinkConfig
from driftwatch.errors import ConfigError, SinkError

RETRIED_STATUS = frozenset({408, 425, 429})


def http_client(config: HttpSinkConfig, sink: str) -> httpx.Client:
    """A client that says who it is and checks whom it talks to, as configured.

    Raises:
        ConfigError: the certificates to trust cannot be read.
    """
    headers = dict(config.headers)
    if config.bearer_token is not None:
        headers["authorization"] = f"Bearer {config.bearer_token.get_secret_value()}"
    auth = (config.username, config.password.get_secret_value()) if config.username and config.password else None
    verify = tls_context(config.ca_file, sink)
    return httpx.Client(timeout=config.timeout_s, headers=headers, auth=auth, verify=verify)


def tls_context(ca_file: Path | None, sink: str) -> ssl.SSLContext:
    """Trust in the usual authorities, or in those of a file alone.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{ca_file} holds no certificates to trust: {error.strerror or error}", where=f"sink {sink}: ca_file"
        ) from None


def post(client: httpx.Client, url: str, body: bytes, content_type: str, sink: str) -> None:
    """Posts once.

    Raises:
        TryAgain: there was no answer, or one that may change.
        SinkError: it was refused, and would be again.
    """
    try:
        response = client.post(url, content=body, headers={"content-type": content_type})
    except httpx.HTTPError as error:
        raise TryAgain(f"{type(error).__name__}: {error}") from None
    if response.status_code in RETRIED_STATUS or response.status_code >= 500:
        raise TryAgain(f"answered {response.status_code}", _asked_s(response.headers.get("retry-after", "")))
    if not response.is_success:
        said = shorten(" ".join(response.text.split()), 200)
        raise SinkError(
            f"answered {response.status_code}{f' ({said})' if said else ''}, which trying again does not mend",
            where=f"sink {sink}",
            remedy="check its url and headers",
        )


def _asked_s(retry_after: str) -> float:
    """The seconds of a Retry-After header, which may be a number or a date; 0 if it is neither."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except ValueError:
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0
