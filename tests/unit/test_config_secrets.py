"""No error of a configuration shows a value that may be secret: addresses with tokens in them, headers, parameters."""

from __future__ import annotations

from typing import Any

import pytest

from driftwatch.config import DaemonConfig
from driftwatch.errors import ConfigError
from driftwatch.reference.train_config import TrainConfig
from driftwatch.settings import model_of

WATCHED = {"source": {"kind": "http"}, "streams": [{"name": "a", "reference": "b"}]}
KAFKA = {"kind": "kafka", "bootstrap_servers": ["a:1"], "topic": "t"}
OAUTH = {"token_url": "https://a", "client_id": "c", "client_secret": "x", "parameters": {"key": ["hunter2"]}}


@pytest.mark.parametrize(
    ("where", "changes"),
    [
        ("sinks[0].url", {"sinks": [{"kind": "webhook", "url": "hooks.example.com/T0/hunter2"}]}),
        ("sinks[0].url", {"sinks": [{"kind": "webhook", "url": ["https://hooks.example.com/T0/hunter2"]}]}),
        ("sinks[0].url", {"sinks": [{"kind": "alertmanager", "url": ["http://u:hunter2@a:port"]}]}),
        ("sinks[0].headers", {"sinks": [{"kind": "webhook", "url": "https://a", "headers": ["hunter2"]}]}),
        ("tracing.endpoint", {"tracing": {"endpoint": "u:hunter2@collector"}}),
        ("source.schema_registry.url", {"source": {**KAFKA, "schema_registry": {"url": "ftp://u:hunter2@a"}}}),
        (
            "source.security.oauth.parameters.key",
            {
                "source": {
                    **KAFKA,
                    "security": {"protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", "oauth": OAUTH},
                }
            },
        ),
    ],
)
def test_errors_show_no_value_that_may_be_secret(where: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        model_of({**WATCHED, **changes}, DaemonConfig)
    assert str(caught.value).startswith(f"{where}: ")
    assert "hunter2" not in str(caught.value)


def test_a_tracking_servers_address_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        model_of({"data": {"train": ["a"]}, "output": {"mlflow": {"tracking_uri": ["hunter2"]}}}, TrainConfig)
    assert "output.mlflow.tracking_uri" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_other_values_are_shown() -> None:
    with pytest.raises(ConfigError, match=r"server\.external_url: .*got 'status\.example\.com'"):
        model_of({**WATCHED, "server": {"external_url": "status.example.com"}}, DaemonConfig)
