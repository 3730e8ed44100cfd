"""How a Kafka client authenticates itself, and which brokers it trusts."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from driftwatch.config.http import check_url
from driftwatch.config.secrets import Secret, UserName
from driftwatch.settings import ConfigPath, Settings

_EXTENSION, _VISIBLE = re.compile(r"[A-Za-z]+"), re.compile(r"[\x21-\x7e \t\r\n]+")


def _check_extensions(extensions: dict[str, str]) -> dict[str, str]:
    for name, value in extensions.items():
        # By RFC 7628; "auth" is reserved for the token.
        if not _EXTENSION.fullmatch(name) or name == "auth" or not _VISIBLE.fullmatch(value):
            raise ValueError(f"{name!r} cannot be sent: names are letters, values visible ASCII characters")
    return extensions


class OAuthConfig(Settings):
    """An authorization server that issues tokens for client credentials (OAuth 2.0, RFC 6749, 4.4)."""

    token_url: Annotated[str, AfterValidator(check_url), Field(description="that tokens are requested from")]
    client_id: Annotated[UserName, Field(description="of this client, at that server")]
    client_secret: Annotated[Secret, Field(description="of this client")]
    scope: Annotated[str | None, Field(min_length=1, description="to request, if the server wants one")] = None
    parameters: dict[str, str] = Field(
        default_factory=dict, repr=False, description="further parameters of token requests, such as an audience"
    )
    ca_file: Annotated[ConfigPath | None, Field(description="certificates to trust instead of the usual ones")] = None
    timeout_s: Annotated[float, Field(gt=0, le=60, description="for each request of a token, seconds")] = 5.0


class SecurityConfig(Settings):
    """How a Kafka client authenticates itself, and which brokers it trusts."""

    protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Field(description="as the brokers' listener has it: SSL encrypts, SASL authenticates"),
    ] = "PLAINTEXT"
    ssl_cafile: Annotated[ConfigPath | None, Field(description="certificates to trust instead of the usual ones")] = (
        None
    )
    ssl_certfile: Annotated[ConfigPath | None, Field(description="to present to brokers, with its chain")] = None
    ssl_keyfile: Annotated[ConfigPath | None, Field(description="of ssl_certfile")] = None
    ssl_password: Annotated[Secret | None, Field(description="of ssl_keyfile, if it is encrypted")] = None
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"] | None,
        Field(description="by which to authenticate; the last one takes AWS's usual credentials"),
    ] = None
    sasl_username: Annotated[UserName | None, Field(description="for PLAIN and SCRAM")] = None
    sasl_password: Annotated[Secret | None, Field(description="of sasl_username")] = None
    oauth: Annotated[OAuthConfig | None, Field(description="where tokens for OAUTHBEARER come from")] = None
    oauth_token_file: Annotated[
        ConfigPath | None, Field(description="instead of oauth: read for each connection, refreshed by something else")
    ] = None
    oauth_extensions: Annotated[dict[str, str], AfterValidator(_check_extensions)] = Field(
        default_factory=dict, description="sent to brokers with a token, such as logicalCluster"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self._check_sasl()
        files = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
        stated = [name for name in files if getattr(self, name) is not None]
        if stated and not self.protocol.endswith("SSL"):
            raise ValueError(f"{', '.join(stated)} without TLS; set protocol to SSL or SASL_SSL")
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ValueError("ssl_certfile and ssl_keyfile go together; give both or neither")
        if self.ssl_password is not None and self.ssl_keyfile is None:
            raise ValueError("ssl_password is given without an ssl_keyfile")
        return self

    def _check_sasl(self) -> None:
        password, tokens = ("sasl_username", "sasl_password"), ("oauth", "oauth_token_file", "oauth_extensions")
        given = [name for name in ("sasl_mechanism", *password, *tokens) if getattr(self, name)]
        if not self.protocol.startswith("SASL"):
            if given:
                names = ", ".join(given)
                raise ValueError(f"{names} without a SASL protocol; set protocol to SASL_SSL or SASL_PLAINTEXT")
            return
        needed: tuple[str, ...]
        other: tuple[str, ...]
        if self.sasl_mechanism == "OAUTHBEARER":
            needed, other = (), password
            if (self.oauth is None) == (self.oauth_token_file is None):
                raise ValueError("sasl_mechanism OAUTHBEARER needs either oauth or oauth_token_file")
        elif self.sasl_mechanism == "AWS_MSK_IAM":
            needed, other = (), (*password, *tokens)
            if self.protocol != "SASL_SSL":
                raise ValueError("sasl_mechanism AWS_MSK_IAM needs protocol SASL_SSL")
        else:
            needed, other = ("sasl_mechanism", *password), tokens
        if missing := [name for name in needed if name not in given]:
            raise ValueError(f"protocol {self.protocol} needs {', '.join(missing)}")
        if useless := [name for name in other if name in given]:
            raise ValueError(f"sasl_mechanism {self.sasl_mechanism} does not use {', '.join(useless)}; leave out")
