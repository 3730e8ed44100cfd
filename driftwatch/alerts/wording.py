"""An alert in words, for someone it wakes up: what, how sure, how large, since when, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from driftwatch.stream import anytime
from driftwatch.stream.alert import Alert
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.quiet_alert import QuietAlert

SHOWN_EXAMPLES = 3
LEAST_P = 1e-300
RARE, SMALLEST_SHOWN = 1e-2, 1e-9


@dataclass(frozen=True)
class Links:
    """Addresses that alerts point to; empty where there are none.

    Args:
        status_page: the daemon's, as people reach it.
        runbook: the team's own instructions.
    """

    status_page: str = ""
    runbook: str = ""

    def stream(self, name: str) -> str:
        """The status page, opened at one stream."""
        return f"{self.status_page}#stream={quote(name, safe='')}" if self.status_page else ""


@dataclass(frozen=True)
class Message:
    """An alert in words, without markup.

    Args:
        title: one line with all that matters, for a lock screen.
        lead: a sentence or two.
        facts: by name, in the order of a reader's questions.
        steps: what to do next.
        links: by name.
    """

    title: str
    lead: str
    facts: Mapping[str, str]
    steps: Sequence[str]
    links: Mapping[str, str]


def compose(alert: Announcement, links: Links) -> Message:
    """Write an alert for people.

    Args:
        alert: to describe.
        links: to point to.
    """
    named = {"Status page": links.stream(alert.stream), "Runbook": links.runbook}
    available = {name: url for name, url in named.items() if url}
    return (
        _silence_message(alert, available) if isinstance(alert, QuietAlert) else _drift_message(alert, links, available)
    )


def _silence_message(alert: QuietAlert, available: Mapping[str, str]) -> Message:
    place = f"{alert.topic}/{alert.partition} offset {alert.offset}"
    lasted = duration(alert.end_ms - alert.since_ms)
    if alert.state == "resolved":
        return Message(
            title=f"RESOLVED: {alert.stream}, after {lasted} of silence",
            lead=f"Samples of {alert.stream} are arriving again.",
            facts={
                "Silent": f"from {moment(alert.since_ms)} to {moment(alert.end_ms)} ({lasted})",
                "Next sample": place,
            },
            steps=(),
            links=available,
        )
    return Message(
        title=f"{alert.severity.upper()}: {alert.stream} is silent, nothing since {moment(alert.since_ms)}",
        lead=f"{alert.stream} has stopped sending samples, so drift in it cannot be detected.",
        facts={
            "Last sample": f"{moment(alert.since_ms)}; {place}",
            "Allowed": f"{duration(alert.after_ms)} without a sample (alerts.quiet_after)",
        },
        steps=(
            "Does the model still get requests? If not, nothing needs fixing here.",
            "If it does, look at what sends its inputs: the logger, its credentials, the topic and the stream's name.",
            "The alert is resolved by the next sample.",
        ),
        links=available,
    )


def _drift_message(alert: Alert, links: Links, available: Mapping[str, str]) -> Message:
    reference = " / ".join(alert.reference)
    if alert.state == "resolved":
        lasted = duration(alert.window.end_ms - alert.began_ms)
        return Message(
            title=f"RESOLVED: {alert.stream}, after an alarm of {lasted}",
            lead=f"The inputs of {alert.stream} look like the reference again: {alert.explanation}.",
            facts={
                "Alarm": f"from {moment(alert.began_ms)} to {moment(alert.window.end_ms)} ({lasted})",
                "Severity": f"{alert.severity} at its worst",
                "Now": f"{effect_words(alert)}, {p_words(alert.p_value)} in {window_words(alert)}",
                "Reference": reference,
            },
            steps=(),
            links=available,
        )
    began, end = alert.began_ms, alert.window.end_ms
    since = moment(began)
    if began < end:
        since += f"; {alert.severity} since {moment(end)}"
    return Message(
        title=f"{alert.severity.upper()}: {alert.stream} drifts, {alert.effect.nats:.2g} nats/sample",
        lead=f"The inputs of {alert.stream} no longer look like what its model was validated on.",
        facts={
            **({"What moved": alert.explanation} if alert.explanation else {}),
            "How large": effect_words(alert),
            "How sure": sure_words(alert),
            "Since": since,
            "Window": window_words(alert),
            **({"Samples to look at": found} if (found := examples_words(alert)) else {}),
            "Reference": reference,
        },
        steps=_steps(alert, links),
        links=available,
    )


def effect_words(alert: Alert) -> str:
    """How far the stream is from its reference.

    >>> from driftwatch.alerts.sample import sample_alert
    >>> effect_words(sample_alert())
    '5.2 nats/sample (95 %: 4.6 to 5.9)'
    """
    effect = alert.effect
    return f"{effect.nats:.2g} nats/sample (95 %: {effect.low:.2g} to {effect.high:.2g})"


def p_words(p_value: float) -> str:
    """The probability of something as extreme without drift.

    >>> p_words(3.14e-9), p_words(0.0)
    ('p = 3e-09', 'p < 1e-300')
    """
    return f"p = {p_value:.1g}" if p_value >= LEAST_P else f"p < {LEAST_P:g}"


def sure_words(alert: Alert) -> str:
    """How unlikely this is without drift: by the window and, if that is stronger evidence, by single samples."""
    words = f"{p_words(alert.p_value)} in a window of {alert.window.samples}"
    if alert.p_value < RARE:
        rare = float(f"{1 / max(alert.p_value, SMALLEST_SHOWN):.1g}")
        fewer = "fewer than " if alert.p_value < SMALLEST_SHOWN else ""
        words += f": without drift, {fewer}one in {rare:,.0f} differs as much"
    by_samples = [each.p_value for each in alert.detectors if each.name == anytime.NAME]
    if by_samples and by_samples[0] < alert.p_value:
        words += f"; {p_words(by_samples[0])} by single samples, at any time"
    return words


def window_words(alert: Alert) -> str:
    """Which samples the alert is about: how many, when, and where in the topic."""
    window = alert.window
    places = [f"{each.topic}/{each.partition} offsets {each.first} to {each.last}" for each in window.offsets[:4]]
    more = len(window.offsets) - len(places)
    where = ", ".join(places) + (f" and {more} more partitions" if more > 0 else "")
    start, end = moment(window.start_ms), moment(window.end_ms)
    day = end.partition(" ")[0]
    when = f"{start.removesuffix(' UTC')} to {end.removeprefix(day).strip() if start.startswith(day) else end}"
    return f"{window.samples} samples, {when}" + (f"; {where}" if where else "")


def examples_words(alert: Alert) -> str:
    """Where the samples are that differ most; empty if the alert does not name them."""
    if alert.examples is None:
        return ""
    return "; ".join(
        f"{each.topic}/{each.partition} offset {each.offset} row {each.row}"
        for each in alert.examples.farthest[:SHOWN_EXAMPLES]
    )


def _steps(alert: Alert, links: Links) -> Sequence[str]:
    page = "Open the status page" if links.status_page else "Open driftwatch's status page"
    first = alert.examples is not None and bool(alert.examples.farthest)
    return (
        f"{page}: is it this stream alone, and does it start with a deployment or a change upstream?",
        *(["Look at the samples named above: they differ most."] if first else []),
        "If the inputs are broken, fix their source; the alert then resolves by itself.",
        "If they are right and here to stay, judge the model on them, then make a new reference "
        "(driftwatch recalibrate).",
    )


def moment(milliseconds: int) -> str:
    """A time to the second, UTC.

    >>> moment(1_000)
    '1970-01-01 00:00:01 UTC'
    """
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(milliseconds: int) -> str:
    """A length of time, in the two largest units that matter.

    >>> duration(7_860_000), duration(59_400), duration(200_000_000)
    ('2 h 11 min', '59 s', '2 d 7 h')
    """
    seconds = max(0, milliseconds // 1000)
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def shorten(text: str, most: int) -> str:
    """At most `most` characters, ending in an ellipsis if some are left out.

    >>> shorten("a longer text", 8), shorten("short", 8)
    ('a longe…', 'short')
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"
