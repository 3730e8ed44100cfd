"""Alerts as mail: plain text and HTML, with the map of where an image changed; resolutions reply to the alert."""

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
PERMANENT = 500
"""SMTP reply codes from this on are permanent failures; lower ones are transient."""

COLOURS = {"firing": "#b3261e", "resolved": "#1b6e3c"}


class EmailSink:
    """Sends each alert as a mail to each recipient, on a new connection.

    Args:
        config: server, addresses and limits.
        name: for logs and metrics.
        links: for mails to point to.
    """

    def __init__(self, config: EmailSinkConfig, name: str, links: Links) -> None:
        self.name = name
        self.queue = config.queue
        self._config = config
        self._links = links
        self._tls = None if config.encryption == "none" else tls_context(config.ca_file, f"sink {name}")

    def deliver(self, alert: Announcement, stop: threading.Event) -> None:
        """See `Sink.deliver`. Recipients rejected for good are reported; the others get the mail once."""
        message = write_mail(alert, self._links, self._config.sender, self._config.to)
        waiting, refused = list(self._config.to), dict[str, str]()

        def attempt() -> None:
            self._send(message, waiting, refused)

        persist(attempt, most=self._config.max_attempts, stop=stop, sink=self.name)
        if refused:
            reasons = "; ".join(f"{address}: {why}" for address, why in refused.items())
            raise SinkError(
                f"refused for {len(refused)} of {len(self._config.to)} recipients: {reasons}",
                where=f"sink {self.name}",
                remedy="check its addresses",
            )

    def close(self) -> None:
        """Nothing to close."""

    def _send(self, message: EmailMessage, waiting: list[str], refused: dict[str, str]) -> None:
        """Send to those in `waiting`; remove those that have it, and move those rejected for good to `refused`."""
        try:
            server = self._connect()
            try:
                answers = server.send_message(message, self._config.sender, list(waiting))
            except smtplib.SMTPRecipientsRefused as error:
                answers = error.recipients
            finally:
                _leave(server)
        except smtplib.SMTPResponseException as error:
            answer = f"{self._config.host} said {error.smtp_code} {_text(error.smtp_error)}"
            if error.smtp_code < PERMANENT:
                raise TryAgain(answer) from None
            raise SinkError(
                f"{answer}, and would do so again",
                where=f"sink {self.name}",
                remedy="check its sender, username and password",
            ) from None
        except smtplib.SMTPNotSupportedError as error:
            # The configuration requires encryption, a login or non-ASCII addresses, which the server does not support.
            remedy = "check its encryption, its username, and that its addresses are ASCII"
            raise SinkError(str(error), where=f"sink {self.name}", remedy=remedy) from None
        except (smtplib.SMTPException, OSError) as error:
            raise TryAgain(f"{type(error).__name__}: {error}") from None
        refused |= {to: f"{code} {_text(said)}" for to, (code, said) in answers.items() if code >= PERMANENT}
        waiting[:] = [to for to, (code, _) in answers.items() if code < PERMANENT]
        if waiting:
            code, said = answers[waiting[0]]
            raise TryAgain(f"{waiting[0]} not accepted yet: {code} {_text(said)}")

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
    """An alert as a mail; the same alert gives the same mail, so that receivers recognise a repeat."""
    message = compose(alert, links)
    domain = sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = shorten(" ".join(message.title.split()), SUBJECT)
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
    mail.set_content(as_text(message, alert), cte="quoted-printable")
    heat_map = None if isinstance(alert, QuietAlert) else alert.heat_map
    picture = heat_map_png(heat_map) if heat_map is not None else None
    mail.add_alternative(as_html(message, alert, pictured=picture is not None), subtype="html", cte="quoted-printable")
    page = mail.get_body(("html",))
    if picture is not None and page is not None:
        page.add_related(picture, "image", "png", cid=f"<{_CID}>", filename="where.png", disposition="inline")
    # Boundaries are random unless set: the same alert must give the same bytes.
    for number, part in enumerate(part for part in mail.walk() if part.is_multipart()):
        part.set_boundary(f"driftwatch-{uuid.uuid5(ALARM_IDS, alert.id)}-{number}")
    return mail


_CID = "where@driftwatch"


def as_text(message: Message, alert: Announcement) -> str:
    """The mail as plain text."""
    width = max(map(len, message.facts)) + 2
    lines = [message.title, "", message.lead, ""]
    lines += [f"{f'{name}:'.ljust(width)}{value}" for name, value in message.facts.items()]
    if message.steps:
        lines += ["", "What to do next"]
        lines += [f"  {number}. {step}" for number, step in enumerate(message.steps, 1)]
    if message.links:
        lines += ["", *(f"{name}: {url}" for name, url in message.links.items())]
    lines += ["", f"-- \ndriftwatch, alert {alert.id}"]
    return "\n".join(lines) + "\n"


def as_html(message: Message, alert: Announcement, *, pictured: bool) -> str:
    """The mail as HTML; styles are inline, since mail readers drop all others."""
    escape = html.escape
    colour = COLOURS[alert.state]
    rows = "".join(
        f'<tr><td style="padding:4px 16px 4px 0;color:#666;vertical-align:top;white-space:nowrap">{escape(name)}</td>'
        f'<td style="padding:4px 0;vertical-align:top">{escape(value)}</td></tr>'
        for name, value in message.facts.items()
    )
    picture = (
        f'<p style="margin:16px 0 4px;color:#666">Where the images differ (darker: more)</p>'
        f'<img src="cid:{_CID}" alt="Map of where the images differ from the reference" width="224">'
        if pictured
        else ""
    )
    steps = "".join(f'<li style="margin:4px 0">{escape(step)}</li>' for step in message.steps)
    following = f'<h2 style="font-size:16px;margin:16px 0 4px">What to do next</h2><ol>{steps}</ol>' if steps else ""
    links = " &middot; ".join(f'<a href="{escape(url)}">{escape(name)}</a>' for name, url in message.links.items())
    return (
        '<!doctype html><html lang="en"><body style="font:15px/1.45 sans-serif;color:#1a1a1a;max-width:640px">'
        f'<h1 style="font-size:20px;margin:0 0 8px;padding-left:10px;border-left:6px solid {colour}">'
        f"{escape(message.title)}</h1><p>{escape(message.lead)}</p>"
        f'<table style="border-collapse:collapse">{rows}</table>{picture}{following}'
        f"{f'<p>{links}</p>' if links else ''}"
        f'<p style="color:#666;font-size:12px">driftwatch, alert {escape(alert.id)}</p></body></html>'
    )


def _first_mail(alert: Announcement) -> str:
    """An id for the first mail of an alarm, derived so that later mails can reply to it, even after restarts."""
    return str(uuid.uuid5(ALARM_IDS, f"{key_of(alert)}|{alert.began_ms}"))


def _leave(server: smtplib.SMTP) -> None:
    """Say goodbye; a failure does not make a mail undelivered that the server has accepted."""
    with suppress(smtplib.SMTPException, OSError):
        server.quit()


def _text(said: bytes | str) -> str:
    return " ".join((said.decode("utf-8", "replace") if isinstance(said, bytes) else said).split())
