"""The certificate that an HTTPS listener shows, taken up anew when its files change."""

from __future__ import annotations

import ssl

import structlog

from driftwatch.config import TlsConfig
from driftwatch.config.certificates import own_certificate
from driftwatch.errors import ConfigError

log = structlog.get_logger("driftwatch.intake")

Stamp = tuple[tuple[int, int, int], ...]


class RenewedCertificate:
    """Shows each client the certificate that is in the files by then: they are renewed every few weeks.

    Args:
        tls: the files.
        name: of the configuration's section that has them.

    Raises:
        ConfigError: they cannot be used.
    """

    def __init__(self, tls: TlsConfig, name: str) -> None:
        self._tls = tls
        self._places = (f"{name}.tls.certfile", f"{name}.tls.keyfile")
        self._seen = self._stamp()
        self._current = self._load()
        self.context = self._load()
        """For the listener; what it shows is another one's."""
        # Asked at the beginning of each handshake, of clients that name no server too.
        self.context.sni_callback = self._greet

    def _greet(self, connection: ssl.SSLSocket | ssl.SSLObject, *_: object) -> None:
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            self._renew()
        connection.context = self._current

    def _renew(self) -> None:
        try:
            self._current = self._load()
        except ConfigError as error:
            # Of files that are written one after the other the last one changes the stamp again.
            log.warning("the certificate was not renewed; the one from before is shown", reason=str(error))
        else:
            log.info("certificate renewed", file=str(self._tls.certfile))

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        own_certificate(context, self._tls.certfile, self._tls.keyfile, where=self._places)
        return context

    def _stamp(self) -> Stamp:
        """Another one whenever the files are others, also behind a link; empty where one is missing."""
        try:
            found = [path.stat() for path in (self._tls.certfile, self._tls.keyfile)]
        except OSError:
            return ()
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)
