"""Mail through a real SMTP server: encrypted, authenticated, threaded, and sent once to each reachable recipient."""

from __future__ import annotations

import email
import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from PIL import Image

from driftwatch.alerts.mail import EmailSink, write_mail
from driftwatch.alerts.sample import sample_alert, sample_resolution
from driftwatch.alerts.wording import Links
from driftwatch.config import EmailSinkConfig
from driftwatch.errors import SinkError

LINKS = Links("https://driftwatch.example.com/", "https://wiki.example.com/drift")
UNKNOWN_USER, BUSY = "550 no such user", "451 greylisted, come back later"


class Mailbox:
    """Keeps mails; refuses the addresses in `refusals`, permanently or a number of times."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], bytes]] = []
        self.refusals: dict[str, list[str]] = {}

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _: Any
    ) -> str:
        if left := self.refusals.get(address):
            return left.pop(0) if left[0] == BUSY else left[0]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append((list(envelope.rcpt_tos), envelope.content))
        return "250 taken"

    def read(self, number: int) -> EmailMessage:
        found = email.message_from_bytes(self.mails[number][1], policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found


def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: Any) -> AuthResult:
    correct = isinstance(login, LoginPassword) and (login.login, login.password) == (b"me", b"hunter2")
    return AuthResult(success=correct, handled=False)


@contextmanager
def server(mailbox: Mailbox, **options: Any) -> Iterator[int]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=0, **options)
    # At its start aiosmtpd connects to itself, but neither to a port chosen by the system nor with TLS.
    controller._trigger_server = lambda: socket.create_connection(_address(controller)).close()  # type: ignore[method-assign]
    controller.start()
    try:
        yield _address(controller)[1]
    finally:
        controller.stop()


def _address(controller: Controller) -> tuple[str, int]:
    host, port = controller.server.sockets[0].getsockname()  # type: ignore[union-attr]
    return host, port


def sink(port: int, **more: Any) -> EmailSink:
    config = {
        "kind": "email",
        "host": "localhost",
        "port": port,
        "encryption": "none",
        "from": "driftwatch@example.com",
        "to": ["on-call@example.com", "team@example.com"],
        **more,
    }
    return EmailSink(EmailSinkConfig.model_validate(config), "email", LINKS)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


def deliver(email_sink: EmailSink, alert: Any = None) -> None:
    email_sink.deliver(alert or sample_alert(), threading.Event())


def test_a_mail_has_a_text_an_html_and_a_picture(mailbox: Mailbox) -> None:
    alert = replace(sample_alert("critical"), stream="flights <b>é", explanation="<script>x</script> moved\nfar")
    with server(mailbox) as port:
        deliver(sink(port), alert)
    (to, _), mail = mailbox.mails[0], mailbox.read(0)
    assert to == ["on-call@example.com", "team@example.com"]
    assert mail["Subject"] == "CRITICAL: flights <b>é drifts, 5.2 nats/sample"
    assert mail["From"] == "driftwatch <driftwatch@example.com>"
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert page is not None
    assert "How large:          5.2 nats/sample (95 %: 4.6 to 5.9)" in text.get_content()
    assert "https://driftwatch.example.com/#stream=flights%20%3Cb%3E%C3%A9" in text.get_content()
    assert "<script>" not in page.get_content()
    assert "&lt;script&gt;x&lt;/script&gt; moved" in page.get_content()
    (picture,) = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert picture["Content-ID"].strip("<>") in page.get_content()
    image = Image.open(io.BytesIO(picture.get_payload(decode=True)))
    assert image.size == (224, 224)
    darkest = min(
        (image.getpixel((32 * column + 16, 32 * row + 16))[1], row, column) for row in range(7) for column in range(7)
    )
    assert darkest[1:] == (3, 5)


def test_the_same_alert_gives_the_same_mail_and_its_resolution_answers_it() -> None:
    alert = sample_alert()
    worse, end = replace(alert, id="2", severity="critical"), sample_resolution(alert)
    worse = replace(worse, window=replace(worse.window, end_ms=worse.window.end_ms + 1))
    mails = [write_mail(each, LINKS, "a@example.com", ["b@example.com"]) for each in (alert, worse, end)]
    again = write_mail(alert, LINKS, "a@example.com", ["b@example.com"])
    assert again.as_bytes() == mails[0].as_bytes()
    ids = [mail["Message-ID"] for mail in mails]
    assert len(set(ids)) == 3
    assert mails[0]["References"] is None
    assert [mail["In-Reply-To"] for mail in mails[1:]] == [ids[0], ids[0]]
    assert [mail["References"] for mail in mails[1:]] == [ids[0], ids[0]]
    later = replace(alert, since_ms=alert.began_ms + 9, window=replace(alert.window, end_ms=alert.began_ms + 9))
    assert write_mail(later, LINKS, "a@example.com", ["b@example.com"])["Message-ID"] not in ids


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


class TestEncrypted:
    @pytest.fixture(params=["starttls", "tls"])
    def secure(self, request: pytest.FixtureRequest, tls: ssl.SSLContext) -> Callable[[Mailbox], Any]:
        options = (
            {"tls_context": tls, "require_starttls": True}
            if request.param == "starttls"
            else {"ssl_context": tls, "auth_require_tls": False}
        )
        return lambda mailbox: (
            request.param,
            server(mailbox, authenticator=authenticate, auth_required=True, **options),
        )

    def test_it_authenticates(self, mailbox: Mailbox, secure: Callable[[Mailbox], Any], ca_file: str) -> None:
        encryption, running = secure(mailbox)
        with running as port:
            login = {"encryption": encryption, "ca_file": ca_file, "username": "me"}
            deliver(sink(port, **login, password="hunter2"))
            with pytest.raises(SinkError, match=r"535 .*check its sender, username and password") as caught:
                deliver(sink(port, **login, password="hunter3"))
            assert "hunter3" not in str(caught.value)
        assert len(mailbox.mails) == 1

    def test_nothing_is_sent_to_an_untrusted_server(self, mailbox: Mailbox, secure: Callable[[Mailbox], Any]) -> None:
        encryption, running = secure(mailbox)
        with running as port, pytest.raises(SinkError, match="CERTIFICATE_VERIFY_FAILED"):
            deliver(sink(port, encryption=encryption, username="me", password="hunter2", max_attempts=1))
        assert mailbox.mails == []

    def test_nothing_is_sent_to_a_server_without_starttls(self, mailbox: Mailbox) -> None:
        with server(mailbox) as port, pytest.raises(SinkError, match="check its encryption"):
            deliver(sink(port, encryption="starttls", username="me", password="hunter2"))
        assert mailbox.mails == []


class TestRefused:
    def test_addresses_that_the_server_cannot_handle_are_reported(self, mailbox: Mailbox) -> None:
        with (
            server(mailbox, enable_SMTPUTF8=False) as port,
            pytest.raises(SinkError, match=r"SMTPUTF8.*that its addresses are ASCII"),
        ):
            deliver(sink(port, to=["team@exämple.com"]))
        assert mailbox.mails == []

    def test_a_permanently_refused_recipient_is_reported_and_the_others_get_the_mail_once(
        self, mailbox: Mailbox
    ) -> None:
        mailbox.refusals = {"team@example.com": [UNKNOWN_USER]}
        with server(mailbox) as port, pytest.raises(SinkError, match=r"refused for 1 of 2 .* team@example.com: 550"):
            deliver(sink(port))
        assert [to for to, _ in mailbox.mails] == [["on-call@example.com"]]

    def test_a_temporarily_refused_recipient_alone_is_retried(self, mailbox: Mailbox) -> None:
        mailbox.refusals = {"team@example.com": [BUSY]}
        with server(mailbox) as port:
            deliver(sink(port))
        assert [to for to, _ in mailbox.mails] == [["on-call@example.com"], ["team@example.com"]]

    def test_all_recipients_may_be_refused(self, mailbox: Mailbox) -> None:
        mailbox.refusals = {"team@example.com": [UNKNOWN_USER], "on-call@example.com": [UNKNOWN_USER]}
        with server(mailbox) as port, pytest.raises(SinkError, match="refused for 2 of 2"):
            deliver(sink(port))
        assert mailbox.mails == []


def test_a_server_that_is_down_is_retried_a_limited_number_of_times() -> None:
    with pytest.raises(SinkError, match=r"sink email: ConnectionRefusedError: .*, after 2 attempts"):
        deliver(sink(9, max_attempts=2))
