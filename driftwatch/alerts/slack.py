"""An alert in the format of Slack's incoming webhooks: Block Kit.

Limits of length: https://docs.slack.dev/reference/block-kit/blocks; what is escaped:
https://docs.slack.dev/messaging/formatting-message-text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from driftwatch.alerts.wording import Links, compose
from driftwatch.stream.alert import rfc3339
from driftwatch.stream.announcement import Announcement

HEADER, SECTION, FIELD, FIELDS = 150, 3_000, 2_000, 10
SIGNS = {"firing": "🔴", "resolved": "🟢"}
ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def slack_message(alert: Announcement, links: Links) -> bytes:
    """The body of the POST."""
    message = compose(alert, links)
    title = f"{SIGNS[alert.state]} {message.title}"
    blocks: list[Mapping[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": escape(title, HEADER), "emoji": False}},
        {"type": "section", "text": _text(escape(message.lead, SECTION))},
    ]
    if moved := message.facts.get("What moved"):
        blocks.append({"type": "section", "text": _text(f"*What moved*\n{escape(moved, SECTION - 20)}")})
    facts = [(name, value) for name, value in message.facts.items() if name != "What moved"]
    fields = [_text(f"*{name}*\n{escape(value, FIELD - 40)}") for name, value in facts[:FIELDS]]
    blocks.append({"type": "section", "fields": fields})
    if message.steps:
        steps = "\n".join(f"{number}. {step}" for number, step in enumerate(message.steps, 1))
        blocks.append({"type": "section", "text": _text(f"*Next*\n{escape(steps, SECTION - 20)}")})
    if message.links:
        named = " · ".join(f"<{_link(url)}|{name}>" for name, url in message.links.items())
        blocks.append({"type": "section", "text": _text(named)})
    said = f"driftwatch · {rfc3339(alert.end_ms)} · alert {alert.id}"
    blocks.append({"type": "context", "elements": [_text(escape(said, FIELD))]})
    return orjson.dumps({"text": escape(title, SECTION), "blocks": blocks})


def escape(text: str, most: int) -> str:
    """Escape Slack's control characters, and shorten to at most `most` characters without cutting an entity in two.

    >>> escape("<!channel> R&D", 99), escape("a<<<", 8)
    ('&lt;!channel&gt; R&amp;D', 'a&lt;…')
    """
    escaped = "".join(ESCAPED.get(character, character) for character in text)
    if len(escaped) <= most:
        return escaped
    kept, length = [], 0
    for character in text:
        piece = ESCAPED.get(character, character)
        if length + len(piece) > most - 1:
            break
        kept.append(piece)
        length += len(piece)
    return "".join([*kept, "…"])


def _text(text: str) -> Mapping[str, Any]:
    # Verbatim: Slack must not turn what looks like a channel, person or address in a stream's name into one.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _link(url: str) -> str:
    return url.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")
