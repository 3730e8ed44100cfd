"""Alerts as mail: plain text and HTML, with the map of where an image changed; a resolution answers the alert."""

from __future__ import annotations

import html
import smtplib
import threading
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from driftwatch.alerts.attempts import TryAgain, persist
from driftwatch.alerts.picture import heat_map_png
from driftwatch.alerts.wording import Links, Message, compose, shorten
from driftwatch.config import EmailSinkConfig
from driftwatch.config.http import tls_context
from driftwatch.errors import SinkError
from driftwatch.stream.announcement import Announcement, key_of
from driftwatch.stream.quiet_alert import QuietAlert

ALARM_IDS = uuid.UUID("b7c1f0de-4a9e-5d0b-8f5c-0d3a55b1c6f2")
SUBJECT = 180
NEVER = 500
"""From this code of SMTP on a refusal is for good; below it, for now."""

COLOURS = {"firing": "#b3261e", "resolved": "#1b6e3c"}


class EmailSink:
    """Sends each alert as a mail to each recipient, on a connection of its own.

    Args:
        config: server, addresses and patience.
        name: for logs and metrics.
        links: for mails to point at.
    """

    def __init__(self, config: EmailSinkConfig, name: str, links: Links) -> None:
        self.name = name
        self.queue = config.queue
        self._config = config
        self._links = links
        self._tls = None if config.encryption == "none" else tls_context(config.ca_file, f"sink {name}")

    def deliver(self, alert: Announcement, stop: threading.Event) -> None:
        """See `Sink.deliver`: a recipient that is refused for good is told of; the others get their mail once."""
        message = write_mail(alert, self._links, self._config.sender, self._config.to)
        waiting, refused = list(self._config.to), dict[str, str]()

        def attempt() -> None:
            self._send(message, waiting, refused)

        persist(attempt, most=self._config.max_attempts, stop=stop, sink=self.name)
        if refused:
            told = "; ".join(f"{address}: {why}" for address, why in refused.items())
            raise SinkError(
                f"refused for {len(refused)} of {len(self._config.to)} recipients: {told}",
                where=f"sink {self.name}",
                remedy="check its addresses",
            )

    def close(self) -> None:
        """Nothing is held."""

    def _send(self, message: EmailMessage, waiting: list[str], refused: dict[str, str]) -> None:
        """Sends to those who wait; takes those off who have it, and those who will never have it."""
        try:
            server = self._connect()
            try:
                answers = server.send_message(message, self._config.sender, list(waiting))
            except smtplib.SMTPRecipientsRefused as error:
                answers = error.recipients
            finally:
                _leave(server)
        except smtplib.SMTPResponseException as error:
            told = f"{self._config.host} said {error.smtp_code} {_text(error.smtp_error)}"
            if error.smtp_code < NEVER:
                raise TryAgain(told) from None
            raise SinkError(
                f"{told}, which trying again does not mend",
                where=f"sink {self.name}",
                remedy="check its sender, username and password",
            ) from None
        except smtplib.SMTPNotSupportedError as error:
            # Encryption, a password, or addresses that are not ASCII were asked for, and it offers no such thing.
            remedy = "check its encryption, its username, and that its addresses are ASCII"
            raise SinkError(str(error), where=f"sink {self.name}", remedy=remedy) from None
        except (smtplib.SMTPException, OSError) as error:
            raise TryAgain(f"{type(error).__name__}: {error}") from None
        refused |= {to: f"{code} {_text(said)}" for to, (code, said) in answers.items() if code >= NEVER}
        waiting[:] = [to for to, (code, _) in answers.items() if code < NEVER]
        if waiting:
            code, said = answers[waiting[0]]
            raise TryAgain(f"{waiting[0]} not yet taken: {code} {_text(said)}")

    def _connect(self) -> smtplib.SMTP:
        config = self._config
        if config.encryption == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                config.host, config.server_port, timeout=config.timeout_s, context=self._tls
            )
        else:
            server = smtplib.SMTP(config.host, config.server_port, timeout=config.timeout_s)
        try:
            if config.encryption == "starttls":
                server.starttls(context=self._tls)
            if config.username is not None and config.password is not None:
                server.login(config.username, config.password.get_secret_value())
        except BaseException:
            server.close()
            raise
        return server


def write_mail(alert: Announcement, links: Links, sender: str, to: list[str]) -> EmailMessage:
    """An alert as a mail; the same alert gives the same mail, so that receivers know a second one for what it is."""
    told = compose(alert, links)
    domain = sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = shorten(" ".join(told.title.split()), SUBJECT)
    mail["From"] = Address("driftwatch", addr_spec=sender)
    mail["To"] = ", ".join(to)
    mail["Date"] = datetime.fromtimestamp(alert.end_ms / 1000, UTC)
    first = _first_mail(alert)
    starts = alert.state == "firing" and (isinstance(alert, QuietAlert) or alert.began_ms == alert.end_ms)
    mail["Message-ID"] = f"<{first if starts else alert.id}@{domain}>"
    if not starts:
        mail["In-Reply-To"] = mail["References"] = f"<{first}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    if alert.state == "firing":
        mail["Importance"] = "high"
    mail.set_content(as_text(told, alert), cte="quoted-printable")
    heat_map = None if isinstance(alert, QuietAlert) else alert.heat_map
    picture = heat_map_png(heat_map) if heat_map is not None else None
    mail.add_alternative(as_html(told, alert, pictured=picture is not None), subtype="html", cte="quoted-printable")
    page = mail.get_body(("html",))
    if picture is not None and page is not None:
        page.add_related(picture, "image", "png", cid=f"<{_CID}>", filename="where.png", disposition="inline")
    # Every boundary is random unless it is given: the same alert is to be the same bytes.
    for number, part in enumerate(part for part in mail.walk() if part.is_multipart()):
        part.set_boundary(f"driftwatch-{uuid.uuid5(ALARM_IDS, alert.id)}-{number}")
    return mail


_CID = "where@driftwatch"


def as_text(told: Message, alert: Announcement) -> str:
    """The mail for those who read plain text."""
    width = max(map(len, told.facts)) + 2
    lines = [told.title, "", told.lead, ""]
    lines += [f"{f'{name}:'.ljust(width)}{value}" for name, value in told.facts.items()]
    if told.steps:
        lines += ["", "What to do next"]
        lines += [f"  {number}. {step}" for number, step in enumerate(told.steps, 1)]
    if told.links:
        lines += ["", *(f"{name}: {url}" for name, url in told.links.items())]
    lines += ["", f"-- \ndriftwatch, alert {alert.id}"]
    return "\n".join(lines) + "\n"


def as_html(told: Message, alert: Announcement, *, pictured: bool) -> str:
    """The mail for those who do not; styles are inline, since mail readers drop all others."""
    escape = html.escape
    colour = COLOURS[alert.state]
    rows = "".join(
        f'<tr><td style="padding:4px 16px 4px 0;color:#666;vertical-align:top;white-space:nowrap">{escape(name)}</td>'
        f'<td style="padding:4px 0;vertical-align:top">{escape(value)}</td></tr>'
        for name, value in told.facts.items()
    )
    picture = (
        f'<p style="margin:16px 0 4px;color:#666">Where the images differ (darker: more)</p>'
        f'<img src="cid:{_CID}" alt="Map of where the images differ from the reference" width="224">'
        if pictured
        else ""
    )
    steps = "".join(f'<li style="margin:4px 0">{escape(step)}</li>' for step in told.steps)
    following = f'<h2 style="font-size:16px;margin:16px 0 4px">What to do next</h2><ol>{steps}</ol>' if steps else ""
    links = " &middot; ".join(f'<a href="{escape(url)}">{escape(name)}</a>' for name, url in told.links.items())
    return (
        '<!doctype html><html lang="en"><body style="font:15px/1.45 sans-serif;color:#1a1a1a;max-width:640px">'
        f'<h1 style="font-size:20px;margin:0 0 8px;padding-left:10px;border-left:6px solid {colour}">'
        f"{escape(told.title)}</h1><p>{escape(told.lead)}</p>"
        f'<table style="border-collapse:collapse">{rows}</table>{picture}{following}'
        f"{f'<p>{links}</p>' if links else ''}"
        f'<p style="color:#666;font-size:12px">driftwatch, alert {escape(alert.id)}</p></body></html>'
    )


def _first_mail(alert: Announcement) -> str:
    """Names the mail that an alarm starts with, so that all later ones can answer it, over restarts too."""
    return str(uuid.uuid5(ALARM_IDS, f"{key_of(alert)}|{alert.began_ms}"))


def _leave(server: smtplib.SMTP) -> None:
    """Takes leave; that it fails does not make a mail undelivered that was taken."""
    with suppress(smtplib.SMTPException, OSError):
        server.quit()


def _text(said: bytes | str) -> str:
    return " ".join((said.decode("utf-8", "replace") if isinstance(said, bytes) else said).split())
