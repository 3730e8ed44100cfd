"""Alerts by HTTP POST: as CloudEvents, or as the message of a chat or a pager."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import httpx

from driftwatch.alerts.attempts import persist
from driftwatch.alerts.http import post
from driftwatch.alerts.pagerduty import pagerduty_event
from driftwatch.alerts.slack import slack_message
from driftwatch.alerts.teams import teams_message
from driftwatch.alerts.wording import Links
from driftwatch.config import WebhookSinkConfig
from driftwatch.stream import announcement
from driftwatch.stream.alert import CONTENT_TYPE
from driftwatch.stream.announcement import Announcement

JSON = "application/json"


class WebhookSink:
    """Posts each alert in the format of its receiver.

    Args:
        config: address, template and limits.
        name: for logs and metrics; the address may hold secrets.
        links: for messages to point to.
        severities: the configured levels, least severe first.
    """

    def __init__(self, config: WebhookSinkConfig, name: str, links: Links, severities: Sequence[str]) -> None:
        self.name = name
        self.queue = config.queue
        self._config = config
        self._links = links
        self._severities = severities
        self._client = httpx.Client(**config.client_options(f"sink {name}"))

    def deliver(self, alert: Announcement, stop: threading.Event) -> None:
        """See `Sink.deliver`."""
        body, content_type = self.write(alert)
        persist(
            lambda: post(self._client, self._config.url, body, content_type, self.name),
            most=self._config.max_attempts,
            stop=stop,
            sink=self.name,
        )

    def write(self, alert: Announcement) -> tuple[bytes, str]:
        """The body of the POST, and its content type."""
        config = self._config
        if config.template == "slack":
            return slack_message(alert, self._links), JSON
        if config.template == "teams":
            return teams_message(alert, self._links), JSON
        if config.template == "pagerduty" and config.routing_key is not None:
            key = config.routing_key.get_secret_value()
            return pagerduty_event(alert, self._links, routing_key=key, severities=self._severities), JSON
        return announcement.encode(alert), CONTENT_TYPE

    def close(self) -> None:
        """Close connections."""
        self._client.close()
