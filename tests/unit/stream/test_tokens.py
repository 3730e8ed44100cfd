"""OAuth tokens for brokers: requested once, renewed in time, and kept in use while no new one can be obtained."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from kafka.errors import KafkaConnectionError

from driftwatch.config import KafkaConnection, OAuthConfig
from driftwatch.stream.connecting import client_options
from driftwatch.stream.tokens import RENEWED_S, RETRY_S, TokenFile, Tokens
from tests.issuer import Issuer, Signer, issuer


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture
def server(signer: Signer) -> Iterator[Issuer]:
    with issuer(signer, life_s=100) as running:
        yield running


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def oauth_settings(url: str, **more: Any) -> dict[str, Any]:
    return {"token_url": url, "client_id": "me", "client_secret": "hunter2", **more}


def tokens(server: Issuer, clock: Clock, **more: Any) -> Tokens:
    return Tokens(OAuthConfig.model_validate(oauth_settings(server.url, **more)), {}, clock)


def refusal(given: Tokens | TokenFile) -> str:
    with pytest.raises(KafkaConnectionError) as caught:
        given.token()
    return str(caught.value)


def test_the_request_has_the_configured_parameters(server: Issuer) -> None:
    given = tokens(server, Clock(), scope="streams", parameters={"audience": "kafka"})
    assert given.token().count(".") == 2
    (request,) = server.requests
    assert request.form == {"grant_type": "client_credentials", "scope": "streams", "audience": "kafka"}


def test_names_and_secrets_are_encoded_as_the_standard_requires(signer: Signer) -> None:
    # RFC 6749, 2.3.1: otherwise a colon would end the name
    with issuer(signer, user="a%3Ab", secret="%25+c") as server:
        assert tokens(server, Clock(), client_id="a:b", client_secret="% c").token()


def test_a_token_is_used_for_half_of_its_life(server: Issuer) -> None:
    clock = Clock()
    given = tokens(server, clock)
    first = given.token()
    clock.now += 49
    assert given.token() == first
    assert len(server.requests) == 1
    clock.now += 2
    given.token()
    assert len(server.requests) == 2


def test_a_token_with_a_long_life_is_renewed_regularly(server: Issuer) -> None:
    clock, server.expires_in = Clock(), "86400"  # some servers send a string
    given = tokens(server, clock)
    given.token()
    clock.now += RENEWED_S - 1
    given.token()
    assert len(server.requests) == 1
    clock.now += 2
    given.token()
    assert len(server.requests) == 2


@pytest.mark.parametrize("expires_in", [None, "soon", [3]])
def test_a_token_without_a_stated_life_is_used_once(server: Issuer, expires_in: Any) -> None:
    server.expires_in = expires_in
    given = tokens(server, Clock())
    given.token()
    given.token()
    assert len(server.requests) == 2


def test_the_old_token_is_used_until_it_expires_while_no_new_one_can_be_obtained(server: Issuer) -> None:
    clock = Clock()
    given = tokens(server, clock)
    first = given.token()
    server.refusal = (503, "")
    clock.now += 90
    assert given.token() == first
    clock.now += RETRY_S / 2
    assert given.token() == first
    assert len(server.requests) == 2, "not at each connection: each request may take as long as the time-out"
    clock.now += RETRY_S
    assert "answered 503" in refusal(given)
    server.refusal = None
    given.token()


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (400, json.dumps({"error": "invalid_scope"}), "answered 400 invalid_scope"),
        (401, json.dumps({"error": "invalid_client", "error_description": "who?"}), "answered 401 invalid_client who?"),
        (404, "<html>", "answered 404"),
        (302, "", "answered 302"),
        (200, "<html>", "gave no access_token: see token_url"),
        (200, "[]", "gave no access_token: see token_url"),
        (200, json.dumps({"access_token": ""}), "gave no access_token: see token_url"),
        (200, json.dumps({"access_token": "a\x01auth=b"}), "gave no access_token: see token_url"),
    ],
)  # fmt: skip
def test_an_answer_without_a_token_is_reported(server: Issuer, status: int, text: str, message: str) -> None:
    server.refusal = (status, text)
    error = refusal(tokens(server, Clock()))
    assert error.endswith(message)
    assert server.url.removesuffix("/token") in error
    assert "hunter2" not in error


def test_an_unreachable_server_is_reported(server: Issuer) -> None:
    given = Tokens(OAuthConfig.model_validate(oauth_settings("http://127.0.0.1:9/token")), {})
    assert "authorization server http://127.0.0.1:9 cannot be reached" in refusal(given)


def test_a_server_is_trusted_only_with_its_authority(server: Issuer, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http:", "https:")
    assert "CERTIFICATE_VERIFY_FAILED" in refusal(Tokens(OAuthConfig.model_validate(oauth_settings(url)), {}))
    trusting = OAuthConfig.model_validate(oauth_settings(url, ca_file=str(tmp_path / "ca.pem")))
    assert Tokens(trusting, {}).token()


def options(**security: Any) -> dict[str, Any]:
    bearer = {"protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", **security}
    return client_options(KafkaConnection.model_validate({"bootstrap_servers": ["k:9092"], "security": bearer}))


def provider(**security: Any) -> Any:
    return options(**security)["sasl_oauth_token_provider"]


def test_all_clients_of_a_process_share_a_token(server: Issuer) -> None:
    first = provider(oauth=oauth_settings(server.url), oauth_extensions={"logicalCluster": "lkc-1"})
    assert provider(oauth=oauth_settings(server.url), oauth_extensions={"logicalCluster": "lkc-1"}) is first
    assert first.extensions() == {"logicalCluster": "lkc-1"}
    assert provider(oauth=oauth_settings(server.url)).extensions() == {}
    assert provider(oauth=oauth_settings(server.url, client_secret="other")) is not first


def test_other_mechanisms_have_no_token_provider() -> None:
    plain = {"sasl_mechanism": "PLAIN", "sasl_username": "me", "sasl_password": "pw"}
    assert "sasl_oauth_token_provider" not in options(**plain)


def test_a_token_file_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    given = provider(oauth_token_file=str(file), oauth_extensions={"a": "b"})
    assert f"oauth_token_file {file}: No such file" in refusal(given)
    for written, message in (("", "holds no token"), ("two\nlines", "holds no token"), ("tökén", "not ASCII")):
        file.write_text(written)
        assert message in refusal(given)
    for written in ("first\n", "second"):
        file.write_text(written)
        assert given.token() == written.strip()
    assert given.extensions() == {"a": "b"}
