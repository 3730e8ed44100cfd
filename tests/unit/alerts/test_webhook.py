"""Webhooks: messages are as Slack, Teams and PagerDuty document them; failures that may be temporary are retried."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from driftwatch.alerts import attempts
from driftwatch.alerts.attempts import TryAgain
from driftwatch.alerts.http import post
from driftwatch.alerts.pagerduty import dedup_key, pagerduty_event
from driftwatch.alerts.sample import sample_alert, sample_resolution
from driftwatch.alerts.slack import slack_message
from driftwatch.alerts.teams import teams_message
from driftwatch.alerts.webhook import WebhookSink
from driftwatch.alerts.wording import Links
from driftwatch.config import WebhookSinkConfig
from driftwatch.errors import ConfigError, SinkError
from driftwatch.stream.alert import Alert, decode_alert
from tests import plain_http
from tests.receiver import Answer, receiver

LINKS = Links("https://driftwatch.example.com/", "https://wiki.example.com/drift?a=1&b=2")
NASTY = "<!channel> <@U1|x> & *bold* _it_ `code` [a](https://evil.example) # h\n1. x \\"

# From https://docs.slack.dev/reference/block-kit, for the blocks that are used.
SLACK_TEXT = {
    "type": "object",
    "required": ["type", "text"],
    "additionalProperties": False,
    "properties": {
        "type": {"const": "mrkdwn"},
        "text": {"type": "string", "minLength": 1, "maxLength": 3000},
        "verbatim": {"type": "boolean"},
    },
}
SLACK = {
    "type": "object",
    "required": ["text", "blocks"],
    "additionalProperties": False,
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 4000},
        "blocks": {
            "type": "array",
            "minItems": 1,
            "maxItems": 50,
            "items": {
                "oneOf": [
                    {
                        "required": ["type", "text"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"const": "header"},
                            "text": {
                                "required": ["type", "text"],
                                "additionalProperties": False,
                                "properties": {
                                    "type": {"const": "plain_text"},
                                    "text": {"type": "string", "minLength": 1, "maxLength": 150},
                                    "emoji": {"type": "boolean"},
                                },
                            },
                        },
                    },
                    {
                        "required": ["type"],
                        "anyOf": [{"required": ["text"]}, {"required": ["fields"]}],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"const": "section"},
                            "text": SLACK_TEXT,
                            "fields": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": 10,
                                "items": {
                                    **SLACK_TEXT,
                                    "properties": {
                                        **SLACK_TEXT["properties"],
                                        "text": {"type": "string", "minLength": 1, "maxLength": 2000},
                                    },
                                },
                            },
                        },
                    },
                    {
                        "required": ["type", "elements"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"const": "context"},
                            "elements": {"type": "array", "minItems": 1, "maxItems": 10, "items": SLACK_TEXT},
                        },
                    },
                ]
            },
        },
    },
}

# From Microsoft's documentation of Teams messages, and https://adaptivecards.io/explorer for RichTextBlock (since 1.2).
TEAMS = {
    "type": "object",
    "required": ["type", "attachments"],
    "additionalProperties": False,
    "properties": {
        "type": {"const": "message"},
        "attachments": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["contentType", "content"],
                "additionalProperties": False,
                "properties": {
                    "contentType": {"const": "application/vnd.microsoft.card.adaptive"},
                    "contentUrl": {"type": "null"},
                    "content": {
                        "type": "object",
                        "required": ["type", "version", "body"],
                        "additionalProperties": False,
                        "properties": {
                            "$schema": {"const": "http://adaptivecards.io/schemas/adaptive-card.json"},
                            "type": {"const": "AdaptiveCard"},
                            "version": {"enum": ["1.2", "1.3", "1.4", "1.5"]},
                            "fallbackText": {"type": "string"},
                            "msteams": {"const": {"width": "Full"}},
                            "body": {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "object",
                                    "required": ["type", "inlines"],
                                    "additionalProperties": False,
                                    "properties": {
                                        "type": {"const": "RichTextBlock"},
                                        "separator": {"type": "boolean"},
                                        "inlines": {
                                            "type": "array",
                                            "minItems": 1,
                                            "items": {
                                                "type": "object",
                                                "required": ["type", "text"],
                                                "additionalProperties": False,
                                                "properties": {
                                                    "type": {"const": "TextRun"},
                                                    "text": {"type": "string", "minLength": 1},
                                                    "weight": {"enum": ["Lighter", "Default", "Bolder"]},
                                                    "size": {
                                                        "enum": ["Small", "Default", "Medium", "Large", "ExtraLarge"]
                                                    },
                                                    "color": {
                                                        "enum": [
                                                            "Default",
                                                            "Dark",
                                                            "Light",
                                                            "Accent",
                                                            "Good",
                                                            "Warning",
                                                            "Attention",
                                                        ]
                                                    },
                                                    "isSubtle": {"type": "boolean"},
                                                },
                                            },
                                        },
                                    },
                                },
                            },
                            "actions": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["type", "url"],
                                    "additionalProperties": False,
                                    "properties": {
                                        "type": {"const": "Action.OpenUrl"},
                                        "title": {"type": "string"},
                                        "url": {"type": "string", "pattern": "^https?://"},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
TEAMS_BYTES = 28 * 1024

# From https://developer.pagerduty.com/docs/events-api-v2/trigger-events.
PAGERDUTY = {
    "type": "object",
    "required": ["routing_key", "event_action"],
    "additionalProperties": False,
    "properties": {
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
        "client": {"type": "string"},
        "client_url": {"type": "string", "pattern": "^https?://"},
        "payload": {
            "type": "object",
            "required": ["summary", "source", "severity"],
            "additionalProperties": False,
            "properties": {
                "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
                "source": {"type": "string", "minLength": 1},
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$"},
                "component": {"type": "string"},
                "group": {"type": "string"},
                "class": {"type": "string"},
                "custom_details": {"type": "object"},
            },
        },
        "images": {"type": "array"},
        "links": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["href"],
                "additionalProperties": False,
                "properties": {"href": {"type": "string", "pattern": "^https?://"}, "text": {"type": "string"}},
            },
        },
    },
    "allOf": [
        {
            "if": {"properties": {"event_action": {"const": "trigger"}}},
            "then": {"required": ["payload"]},
            "else": {"required": ["dedup_key"]},
        }
    ],
}
PAGERDUTY_BYTES = 512 * 1024


def valid(schema: Mapping[str, Any], body: bytes) -> Any:
    found = orjson.loads(body)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(found)] == []
    return found


def trigger(alert: Alert, severities: tuple[str, ...] = ("warning", "critical")) -> bytes:
    return pagerduty_event(alert, LINKS, routing_key="k" * 32, severities=severities)


names = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=200)


@settings(max_examples=20, deadline=None)
@given(stream=names, explanation=st.one_of(st.text(max_size=9_000), st.just(NASTY * 200)), resolves=st.booleans())
def test_messages_are_as_documented_for_any_stream_name(stream: str, explanation: str, resolves: bool) -> None:
    alert = replace(sample_alert(), stream=stream, explanation=explanation, severity="a" * 32)
    alert = sample_resolution(alert) if resolves else alert
    for links in (LINKS, Links()):
        valid(SLACK, slack_message(alert, links))
        card = teams_message(alert, links)
        valid(TEAMS, card)
        assert len(card) <= TEAMS_BYTES
        event = pagerduty_event(alert, links, routing_key="k" * 32, severities=["a" * 32])
        valid(PAGERDUTY, event)
        assert len(event) <= PAGERDUTY_BYTES


def test_slack_interprets_nothing_in_a_stream_as_markup() -> None:
    body = slack_message(replace(sample_alert(), stream=NASTY, explanation=NASTY), LINKS).decode()
    assert "<!channel>" not in body
    assert "<@U1" not in body
    assert "&lt;!channel&gt; &lt;@U1|x&gt; &amp; *bold*" in body
    assert "<https://wiki.example.com/drift?a=1&amp;b=2|Runbook>" in body


def test_teams_gets_no_markdown() -> None:
    card = orjson.loads(teams_message(replace(sample_alert(), explanation=NASTY), LINKS))
    body = card["attachments"][0]["content"]["body"]
    assert {block["type"] for block in body} == {"RichTextBlock"}
    assert NASTY in [run["text"] for block in body for run in block["inlines"]]


def test_pagerduty_closes_the_incident_that_it_opened() -> None:
    alert = sample_alert()
    opened, worse = valid(PAGERDUTY, trigger(alert)), valid(PAGERDUTY, trigger(replace(alert, severity="critical")))
    closed = valid(PAGERDUTY, trigger(sample_resolution(alert)))
    assert (opened["event_action"], worse["event_action"], closed["event_action"]) == ("trigger", "trigger", "resolve")
    assert opened["dedup_key"] == worse["dedup_key"] == closed["dedup_key"]
    assert (opened["payload"]["severity"], worse["payload"]["severity"]) == ("warning", "critical")
    assert opened["client_url"] == "https://driftwatch.example.com/#stream=driftwatch-test"
    assert dedup_key("a" * 300) != dedup_key("a" * 299 + "b")


def sink(url: str, **more: Any) -> WebhookSink:
    config = WebhookSinkConfig.model_validate({"kind": "webhook", "url": url, **more})
    return WebhookSink(config, "hook", LINKS, ["warning", "critical"])


def test_each_template_posts_its_format() -> None:
    with receiver(Answer(200)) as server:
        for more, schema in (
            ({"template": "slack"}, SLACK),
            ({"template": "teams"}, TEAMS),
            ({"template": "pagerduty", "routing_key": "k" * 32}, PAGERDUTY),
        ):
            webhook = sink(server.url, **more)
            webhook.deliver(sample_alert(), threading.Event())
            webhook.close()
            valid(schema, server.received[-1].body)
            assert server.received[-1].headers["content-type"] == "application/json"
        webhook = sink(server.url, bearer_token="hunter2")
        webhook.deliver(sample_alert(), threading.Event())
        webhook.close()
    assert decode_alert(server.received[-1].body) == sample_alert()
    assert server.received[-1].headers["content-type"] == "application/cloudevents+json"
    assert server.received[-1].headers["authorization"] == "Bearer hunter2"


class TestRetries:
    def test_a_receiver_that_requests_a_pause_gets_it(self) -> None:
        with receiver(Answer(429, {"retry-after": "1"}), Answer(200, text="ok")) as server:
            webhook, started = sink(server.url, template="slack"), time.monotonic()
            webhook.deliver(sample_alert(), threading.Event())
            webhook.close()
        assert len(server.received) == 2
        assert time.monotonic() - started >= 1.0

    @pytest.mark.parametrize(
        ("header", "least", "most"),
        [
            ("7", 7, 7),
            ("99999", attempts.LONGEST_REQUESTED_S, attempts.LONGEST_REQUESTED_S),
            ("soon", 0, 0),
            ("nan", 0, 0),
            ("", 0, 0),
        ],
        ids=["seconds", "too-long", "no-number", "nan", "empty"],
    )
    def test_a_pause_can_be_requested_in_seconds(self, header: str, least: float, most: float) -> None:
        assert least <= self._pause(header) <= most

    def test_a_pause_can_be_requested_as_a_date(self) -> None:
        assert 200 <= self._pause(formatdate(time.time() + 300, usegmt=True)) <= 301

    def _pause(self, header: str) -> float:
        with (
            receiver(Answer(503, {"retry-after": header})) as server,
            plain_http.Client() as client,
            pytest.raises(TryAgain) as caught,
        ):
            post(client, server.url, b"", "text/plain", "hook")
        return caught.value.after_s

    def test_a_refusal_is_final_and_says_why(self) -> None:
        with receiver(Answer(400, text="invalid_blocks")) as server:
            webhook = sink(server.url, template="slack")
            with pytest.raises(SinkError, match=r"sink hook: answered 400 \(invalid_blocks\)"):
                webhook.deliver(sample_alert(), threading.Event())
            webhook.close()
        assert len(server.received) == 1

    def test_it_gives_up_after_some_attempts_and_at_once_when_stopped(self) -> None:
        webhook = sink("http://127.0.0.1:9/secret-path", max_attempts=2)
        with pytest.raises(SinkError, match="after 2 attempts") as caught:
            webhook.deliver(sample_alert(), threading.Event())
        assert "secret-path" not in str(caught.value)
        stop = threading.Event()
        stop.set()
        with pytest.raises(SinkError, match="after 1 attempts"):
            sink("http://127.0.0.1:9/", max_attempts=1000).deliver(sample_alert(), stop)


def test_certificates_are_verified_with_the_configured_file(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with receiver(Answer(200)) as server:
        server.socket = _tls(authority).wrap_socket(server.socket, server_side=True)
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        trusting = sink(url, ca_file=str(tmp_path / "ca.pem"))
        trusting.deliver(sample_alert(), threading.Event())
        trusting.close()
        with pytest.raises(SinkError, match="CERTIFICATE_VERIFY_FAILED"):
            sink(url, max_attempts=1).deliver(sample_alert(), threading.Event())
    assert len(server.received) == 1
    (tmp_path / "none.pem").write_text("nothing")
    for path in ("none.pem", "missing.pem"):
        with pytest.raises(ConfigError, match=f"sink hook: ca_file: .*{path}"):
            sink(url, ca_file=str(tmp_path / path))


def _tls(authority: trustme.CA) -> Any:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context
