"""OAuth 2.0 tokens for brokers that want OAUTHBEARER: by client credentials (RFC 6749, 4.4), or from a file."""

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
"""Of a token's life: what is left is how long a connection lasts, and an authorization server may be away."""
RENEWED_S = 300.0
"""But none is used longer for new connections: that brokers no longer take it is not told here."""
RETRY_S = 10.0
"""Between attempts at a new token while the old one lives, since each may take as long as the time-out."""
MOST_TOLD = 300


class Tokens(AbstractTokenProvider):  # type: ignore[misc]
    """Tokens of one client at one authorization server, kept while they live.

    Args:
        config: that server, and who the client is.
        extensions: what brokers are told beside a token.
        clock: a clock that never goes back, seconds.

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
        """A token that lives; kafka-python asks for it from the thread of the connection that wants it.

        Raises:
            KafkaConnectionError: there is none to be had now, and why. It is tried again like any other connection.
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
        """What brokers are told beside the token."""
        return self._extensions

    def _renew(self) -> None:
        asked_s, where = self._clock(), f"authorization server {origin(self._url)}"
        try:
            answer = self._client.post(self._url, data=self._form, headers={"accept": "application/json"})
        except httpx.HTTPError as error:
            raise KafkaConnectionError(f"{where} cannot be reached: {error or type(error).__name__}") from error
        told = _object(answer.content)
        token, life = told.get("access_token"), told.get("expires_in", 0)
        if answer.status_code != httpx.codes.OK:
            words = " ".join(str(told[name]) for name in ("error", "error_description") if name in told)
            raise KafkaConnectionError(f"{where} answered {answer.status_code} {words[:MOST_TOLD]}".rstrip())
        if not isinstance(token, str) or not token or not fits_header(token):
            raise KafkaConnectionError(f"{where} gave no access_token: see token_url")
        try:
            life_s = float(life)
        except (TypeError, ValueError):
            life_s = 0.0  # told by most, and wanted by nobody: such a token is used once
        self._token, self._end_s = token, asked_s + life_s
        self._renewal_s = asked_s + min(RENEWED_AFTER * life_s, RENEWED_S)


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """A token that something else writes, read for each connection."""

    def __init__(self, path: Path, extensions: Mapping[str, str]) -> None:
        super().__init__()
        self._path, self._extensions = path, dict(extensions)

    def token(self) -> str:
        """What the file holds, without blanks around it.

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
        """What brokers are told beside the token."""
        return self._extensions


_shared: dict[tuple[str, str], Tokens] = {}
_sharing = threading.Lock()


def tokens_of(security: SecurityConfig) -> AbstractTokenProvider | None:
    """What gives tokens, if any are wanted: one for all clients of a process that say the same of themselves.

    A client that connects anew then does so with the token at hand, even while the authorization server is away.

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
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}
