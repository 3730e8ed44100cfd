"""TLS of the intake: certificates, handshakes that do not finish, and renewal."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from driftwatch.config import TlsConfig
from driftwatch.errors import ConfigError
from driftwatch.serve import handshakes
from driftwatch.serve.http import Listener


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_clients_verify_the_certificate(serve: Any, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    served = serve(tls={"certfile": str(tmp_path / "cert.pem"), "keyfile": str(tmp_path / "key.pem")})
    assert served.listener.url.startswith("https://")
    assert httpx.post(served.listener.url, content=b"[]", verify=trusting(authority)).status_code == 202
    with pytest.raises(httpx.ConnectError):
        httpx.post(served.listener.url, content=b"[]")


class TestHandshakes:
    """Connections that do not get beyond the handshake."""

    @pytest.fixture
    def secured(self, serve: Any, tmp_path: Path) -> Any:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
        served = serve(tls={"certfile": str(tmp_path / "both.pem"), "keyfile": str(tmp_path / "both.pem")})
        served.client = httpx.Client(base_url=served.listener.url, verify=trusting(authority))
        return served

    @staticmethod
    def hello(context: ssl.SSLContext) -> bytes:
        out = ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="127.0.0.1").do_handshake()
        return out.read()

    def test_time_out(self, secured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(handshakes, "HANDSHAKE_S", 0.3)
        hello = self.hello(ssl.create_default_context())
        for sent in (b"", hello[:20], hello, b"GET / HTTP/1.1\r\n\r\n"):
            started = time.monotonic()
            secured.raw(sent)
            assert time.monotonic() - started < 5
        assert secured.client.post("/", content=b"[]").status_code == 202

    def test_the_oldest_is_closed_if_there_are_too_many(self, secured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(handshakes, "MOST_HANDSHAKES", 3)
        address = ("127.0.0.1", secured.listener.port)
        with contextlib.ExitStack() as opened:
            silent = [opened.enter_context(socket.create_connection(address, timeout=5)) for _ in range(3)]
            assert secured.client.post("/", content=b"[]").status_code == 202
            with contextlib.suppress(ConnectionResetError):
                assert silent[0].recv(1) == b""
            for each in silent[1:]:
                each.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    each.recv(1)

    def test_end_with_the_listener(self, secured: Any) -> None:
        address = ("127.0.0.1", secured.listener.port)
        with socket.create_connection(address, timeout=5) as connection:
            assert secured.client.post("/", content=b"[]").status_code == 202
            secured.listener.stop()
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)


def test_a_certificate_is_renewed_without_a_restart(serve: Any, tmp_path: Path) -> None:
    """Renewed by swapping a link, as cert-manager and Kubernetes do, and by replacing one file after the other."""
    before, after = trustme.CA(), trustme.CA()
    for folder, authority in (("before", before), ("after", after)):
        (tmp_path / folder).mkdir()
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        certificate.private_key_pem.write_to_path(tmp_path / folder / "tls.key")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / folder / "tls.crt")
    now = tmp_path / "now"
    now.symlink_to("before")
    url = serve(tls={"certfile": str(now / "tls.crt"), "keyfile": str(now / "tls.key")}).listener.url

    def is_shown(authority: trustme.CA, host: str = "127.0.0.1") -> bool:
        try:
            answer = httpx.post(url.replace("127.0.0.1", host), content=b"[]", verify=trusting(authority))
        except httpx.ConnectError:
            return False
        return answer.status_code == 202

    assert is_shown(before)
    (tmp_path / "next").symlink_to("after")
    (tmp_path / "next").rename(now)
    assert is_shown(after)
    assert is_shown(after, "localhost")
    assert not is_shown(before)
    for name, shown in (("tls.crt", after), ("tls.key", before)):
        (now / name).write_bytes((tmp_path / "before" / name).read_bytes())
        assert is_shown(shown), name
    (now / "tls.key").unlink()
    assert is_shown(before)


def test_an_unusable_certificate_is_reported(tmp_path: Path) -> None:
    tls = TlsConfig(certfile=tmp_path / "none.pem", keyfile=tmp_path / "none.pem")
    with pytest.raises(ConfigError, match=r"source\.tls\.certfile: .*none\.pem cannot be read"):
        Listener("127.0.0.1", 0, lambda *_: None, name="source", tls=tls).start()  # type: ignore[arg-type,return-value]
