"""The certificate of an HTTPS listener, reloaded when its files change."""

from __future__ import annotations

import ssl

import structlog

from driftwatch.config import TlsConfig
from driftwatch.config.certificates import own_certificate
from driftwatch.errors import ConfigError

log = structlog.get_logger("driftwatch.intake")

Stamp = tuple[tuple[int, int, int], ...]


class RenewedCertificate:
    """Presents the certificate that is currently in the files, which are renewed every few weeks.

    Args:
        tls: the files.
        name: the section of the configuration that names them.

    Raises:
        ConfigError: the files cannot be used.
    """

    def __init__(self, tls: TlsConfig, name: str) -> None:
        self._tls = tls
        self._places = (f"{name}.tls.certfile", f"{name}.tls.keyfile")
        self._loaded_stamp = self._stamp()
        self._current = self._load()
        self.context = self._load()
        """For the listener; each connection then switches to the context of the current certificate."""
        # Called at the start of every handshake, even if the client names no server.
        self.context.sni_callback = self._select

    def _select(self, connection: ssl.SSLSocket | ssl.SSLObject, *_: object) -> None:
        stamp = self._stamp()
        if stamp != self._loaded_stamp:
            self._loaded_stamp = stamp
            self._renew()
        connection.context = self._current

    def _renew(self) -> None:
        try:
            self._current = self._load()
        except ConfigError as error:
            # If files are written one after the other, the last one changes the stamp again.
            log.warning("certificate not renewed; the previous one stays in use", reason=str(error))
        else:
            log.info("certificate renewed", file=str(self._tls.certfile))

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        own_certificate(context, self._tls.certfile, self._tls.keyfile, where=self._places)
        return context

    def _stamp(self) -> Stamp:
        """Changes whenever the files do, also behind a link; empty if one is missing."""
        try:
            found = [path.stat() for path in (self._tls.certfile, self._tls.keyfile)]
        except OSError:
            return ()
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)
