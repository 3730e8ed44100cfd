"""An authorization server that issues signed tokens for client credentials, and a Kafka listener that accepts them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from tests.receiver import serving

KEY, AUDIENCE, SCOPE = "only", "kafka", "streams"


@dataclass
class TokenRequest:
    """A request for a token."""

    authorization: str
    form: dict[str, str]


@dataclass
class Signer:
    """Signs tokens that brokers trust (RFC 7519, RS256)."""

    key: Any = field(default_factory=lambda: generate_private_key(65_537, 2_048))

    def token(self, life_s: float, subject: str = "watcher") -> str:
        now = time.time()
        claims = {"sub": subject, "aud": AUDIENCE, "scope": SCOPE, "iat": int(now), "exp": int(now + life_s)}
        text = f"{_part({'alg': 'RS256', 'kid': KEY, 'typ': 'JWT'})}.{_part(claims)}"
        return f"{text}.{_base64(self.key.sign(text.encode(), PKCS1v15(), SHA256()))}"

    def keys(self) -> dict[str, Any]:
        """The public keys with which brokers verify tokens (RFC 7517)."""
        numbers = self.key.public_key().public_numbers()
        n, e = (_base64(each.to_bytes((each.bit_length() + 7) // 8, "big")) for each in (numbers.n, numbers.e))
        return {"keys": [{"kty": "RSA", "kid": KEY, "use": "sig", "alg": "RS256", "n": n, "e": e}]}


class Issuer(ThreadingHTTPServer):
    """Issues tokens that live for `life_s` seconds, or answers with `refusal`, a status and a text."""

    def __init__(self, signer: Signer, life_s: float, authorization: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.signer, self.life_s, self.authorization = signer, life_s, authorization
        self.refusal: tuple[int, str] | None = None
        self.expires_in: Any = life_s
        self.requests: list[TokenRequest] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/token"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Issuer)
        form = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
        server.requests.append(TokenRequest(self.headers.get("authorization", ""), form))
        if server.refusal is not None:
            self._answer(*server.refusal)
        elif self.headers.get("authorization") != server.authorization:
            self._answer(401, json.dumps({"error": "invalid_client", "error_description": "who is this?"}))
        else:
            given = {"access_token": server.signer.token(server.life_s), "token_type": "Bearer"}
            self._answer(
                200, json.dumps(given | ({} if server.expires_in is None else {"expires_in": server.expires_in}))
            )

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def issuer(
    signer: Signer | None = None, life_s: float = 3_600, user: str = "me", secret: str = "hunter2"
) -> Iterator[Issuer]:
    """A running issuer, which knows one client."""
    known = "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()
    with serving(Issuer(signer or Signer(), life_s, known)) as server:
        yield server


def listener(keys: Path) -> str:
    """Broker properties for a second listener that accepts only tokens, and wants each renewed before it expires."""
    return f"""
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:SASL_PLAINTEXT
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},PROXIED://127.0.0.1:{{inner}}
sasl.enabled.mechanisms=OAUTHBEARER
connections.max.reauth.ms=3600000
listener.name.proxied.oauthbearer.sasl.server.callback.handler.class=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler
listener.name.proxied.oauthbearer.sasl.jaas.config=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
sasl.oauthbearer.jwks.endpoint.url={keys.as_uri()}
sasl.oauthbearer.expected.audience={AUDIENCE}
"""


def allowed(keys: Path) -> str:
    """The Java option that permits a broker to read those keys."""
    return f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={keys.as_uri()}"


def _part(fields: dict[str, Any]) -> str:
    return _base64(json.dumps(fields).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
