"""OAuth 2.0 tokens for brokers with OAUTHBEARER: by client credentials (RFC 6749, 4.4), or from a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import orjson
import structlog
from kafka.errors import KafkaConnectionError
from kafka.net.sasl.oauth import AbstractTokenProvider

from driftwatch.config import OAuthConfig, SecurityConfig
from driftwatch.config.http import fits_header, origin, tls_context

log = structlog.get_logger(__name__)

RENEWED_AFTER = 0.5
"""Part of a token's life. A connection lasts as long as the rest, and the authorization server may be down for a while.
"""
RENEWED_S = 300.0
"""The longest that a token serves for new connections: if brokers stop accepting it, nothing here notices."""
RETRY_S = 10.0
"""Between attempts at a new token while the old one is valid, since each may take as long as the time-out."""
MOST_QUOTED = 300


class Tokens(AbstractTokenProvider):  # type: ignore[misc]
    """Tokens of one client at one authorization server, cached while valid.

    Args:
        config: the server, and the client's credentials.
        extensions: sent to brokers with a token.
        clock: monotonic, seconds.

    Raises:
        ConfigError: the certificates to trust cannot be read.
    """

    def __init__(
        self, config: OAuthConfig, extensions: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        names = quote_plus(config.client_id), quote_plus(config.client_secret.get_secret_value())
        verify = tls_context(config.ca_file, "security.oauth")
        self._client = httpx.Client(timeout=config.timeout_s, auth=names, verify=verify)
        self._form = {"grant_type": "client_credentials", **config.parameters}
        if config.scope is not None:
            self._form["scope"] = config.scope
        self._url, self._extensions, self._clock = config.token_url, dict(extensions), clock
        self._token, self._renewal_s, self._end_s = "", -float("inf"), -float("inf")
        self._lock = threading.Lock()

    def token(self) -> str:
        """A valid token; kafka-python calls this in the thread of the connection that needs it.

        Raises:
            KafkaConnectionError: no token is available now, and why. It is retried like any other connection.
        """
        with self._lock:
            if self._clock() >= self._renewal_s:
                try:
                    self._renew()
                except KafkaConnectionError as error:
                    if self._clock() >= self._end_s:
                        raise
                    log.warning("token not renewed; using the old one until it expires", error=str(error))
                    self._renewal_s = self._clock() + RETRY_S
            return self._token

    def extensions(self) -> dict[str, str]:
        """What to send to brokers with the token."""
        return self._extensions

    def _renew(self) -> None:
        requested_s, where = self._clock(), f"authorization server {origin(self._url)}"
        try:
            answer = self._client.post(self._url, data=self._form, headers={"accept": "application/json"})
        except httpx.HTTPError as error:
            raise KafkaConnectionError(f"{where} cannot be reached: {error or type(error).__name__}") from error
        fields = _object(answer.content)
        token, life = fields.get("access_token"), fields.get("expires_in", 0)
        if answer.status_code != httpx.codes.OK:
            words = " ".join(str(fields[name]) for name in ("error", "error_description") if name in fields)
            raise KafkaConnectionError(f"{where} answered {answer.status_code} {words[:MOST_QUOTED]}".rstrip())
        if not isinstance(token, str) or not token or not fits_header(token):
            raise KafkaConnectionError(f"{where} gave no access_token: see token_url")
        try:
            life_s = float(life)
        except (TypeError, ValueError):
            life_s = 0.0  # the field is optional: without it a token is used once
        self._token, self._end_s = token, requested_s + life_s
        self._renewal_s = requested_s + min(RENEWED_AFTER * life_s, RENEWED_S)


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """A token that another program writes, read for each connection."""

    def __init__(self, path: Path, extensions: Mapping[str, str]) -> None:
        super().__init__()
        self._path, self._extensions = path, dict(extensions)

    def token(self) -> str:
        """The file's content, stripped of white space.

        Raises:
            KafkaConnectionError: it holds no token now.
        """
        try:
            token = self._path.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not ASCII"
            raise KafkaConnectionError(f"oauth_token_file {self._path}: {reason}") from error
        if not token or not fits_header(token):
            raise KafkaConnectionError(f"oauth_token_file {self._path} holds no token")
        return token

    def extensions(self) -> dict[str, str]:
        """What to send to brokers with the token."""
        return self._extensions


_shared: dict[tuple[str, str], Tokens] = {}
_sharing = threading.Lock()


def tokens_of(security: SecurityConfig) -> AbstractTokenProvider | None:
    """The provider of tokens, if any are configured: one for all clients of a process with the same settings.

    A client that reconnects then uses the cached token, even while the authorization server is down.

    Raises:
        ConfigError: the certificates to trust cannot be read.
    """
    if security.oauth_token_file is not None:
        return TokenFile(security.oauth_token_file, security.oauth_extensions)
    if security.oauth is None:
        return None
    with _sharing:
        key = security.model_dump_json(), security.oauth.client_secret.get_secret_value()
        if key not in _shared:
            _shared[key] = Tokens(security.oauth, security.oauth_extensions)
        return _shared[key]


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}
