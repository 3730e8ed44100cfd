"""An alert in the format of a Microsoft Teams workflow: an Adaptive Card in a message.

Workflows do not accept MessageCards, as the retired connectors did. TextBlock and Fact interpret Markdown, the runs of
a RichTextBlock do not (https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format).
So everything that comes from a stream is put in runs, and shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from driftwatch.alerts.wording import Links, compose, shorten
from driftwatch.stream.announcement import Announcement

CARD_VERSION = "1.4"
LONGEST_FACT = 1_500
"""Teams accepts 28 KB in all; there are fewer than ten facts."""

COLOURS = {"firing": "Attention", "resolved": "Good"}


def teams_message(alert: Announcement, links: Links) -> bytes:
    """The body of the POST."""
    message = compose(alert, links)
    body = [
        _paragraph(
            [_run(shorten(message.title, 300), weight="Bolder", size="Large", color=COLOURS[alert.state])],
            separator=False,
        ),
        _paragraph([_run(shorten(message.lead, LONGEST_FACT))], separator=False),
        *(
            _paragraph([_run(f"{name}: ", weight="Bolder"), _run(shorten(value, LONGEST_FACT))], separator=False)
            for name, value in message.facts.items()
        ),
        *(
            _paragraph([_run(f"{number}. {step}")], separator=number == 1)
            for number, step in enumerate(message.steps, 1)
        ),
        _paragraph([_run(f"driftwatch, alert {alert.id}", isSubtle=True, size="Small")], separator=True),
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": CARD_VERSION,
        "fallbackText": shorten(message.title, 300),
        "msteams": {"width": "Full"},
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": name, "url": url} for name, url in message.links.items()],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return orjson.dumps({"type": "message", "attachments": [attachment]})


def _paragraph(runs: Iterable[Mapping[str, Any]], *, separator: bool) -> Mapping[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs), "separator": separator}


def _run(text: str, **style: Any) -> Mapping[str, Any]:
    return {"type": "TextRun", "text": text, **style}
