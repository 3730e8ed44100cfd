"""How a client proves who it is to brokers that want no password: what is missing, or of no use, is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_config import KAFKA, config, problem

BEARER = {"protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"source": {**KAFKA, "security": {"oauth_token_file": "t"}}}, "oauth_token_file without a SASL protocol"),
        (
            {"source": {**KAFKA, "security": {"protocol": "SASL_PLAINTEXT", "sasl_mechanism": "AWS_MSK_IAM"}}},
            "sasl_mechanism AWS_MSK_IAM needs protocol SASL_SSL",
        ),
        (
            {"source": {**KAFKA, "security": {**BEARER, "sasl_mechanism": "AWS_MSK_IAM", "oauth_token_file": "t"}}},
            "sasl_mechanism AWS_MSK_IAM does not use oauth_token_file; leave out",
        ),
        ({"source": {**KAFKA, "security": BEARER}}, "OAUTHBEARER needs either oauth or oauth_token_file"),
        (
            {"source": {**KAFKA, "security": {**BEARER, "oauth_token_file": "t", "sasl_username": "me"}}},
            "sasl_mechanism OAUTHBEARER does not use sasl_username; leave out",
        ),
        (
            {"source": {**KAFKA, "security": {**BEARER, "oauth": {"token_url": "https://x", "client_id": "me"}}}},
            "source.security.oauth.client_secret: is required",
        ),
        (
            {"source": {**KAFKA, "security": {**BEARER, "oauth_token_file": "t", "oauth_extensions": {"auth": "x"}}}},
            "source.security.oauth_extensions: 'auth' cannot be sent",
        ),
    ],
)
def test_what_is_missing_or_of_no_use_is_told(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    assert told in problem(tmp_path, config(**change))
