"""Authentication at Kafka brokers without a password: missing and superfluous settings are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_config import KAFKA, config, problem

BEARER = {"protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}


@pytest.mark.parametrize(
    ("change", "message"),
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
def test_missing_and_superfluous_settings_are_reported(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert message in problem(tmp_path, config(**change))
