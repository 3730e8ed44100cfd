"""Where observations go: the sidecar's address, and the token that every request carries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from driftwatch.errors import UsageError

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True)
class Target:
    """A sidecar.

    Args:
        host: its name or address.
        port: that it listens on.
        path: that requests are posted to.
        token: that it requires.
        tls: None for plain HTTP.
    """

    host: str
    port: int
    path: str
    token: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.path}"


def target(url: str, token: str | None, tls: ssl.SSLContext | None) -> Target:
    """The sidecar at an address.

    Raises:
        UsageError: the address is not one of a sidecar, or the token cannot be a header.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"url {url!r} cannot be read: {error}", where="Client") from None
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"url {url!r} is not an address", where="Client", remedy="such as http://127.0.0.1:9464")
    if parts.username is not None or parts.password is not None:
        raise UsageError("url holds a user or password", where="Client", remedy="give token= instead")
    if parts.query or parts.fragment:
        raise UsageError(f"url {url!r} has a query", where="Client", remedy="leave it out")
    if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
        raise UsageError("token is empty, or has characters that a header cannot hold", where="Client")
    secure = parts.scheme == "https"
    if tls is not None and not secure:
        raise UsageError("tls is given, but the url is http://", where="Client", remedy="use https://")
    if secure and tls is None:
        import ssl

        tls = ssl.create_default_context()
    return Target(host, port or (443 if secure else 80), parts.path or "/", token, tls)
