"""Loads certificates and keys from PEM files; errors name the file to blame."""

from __future__ import annotations

import ssl
from pathlib import Path

from driftwatch.errors import ConfigError


class _EncryptedError(Exception):
    """The key is encrypted, and no pass phrase is configured."""


def own_certificate(
    context: ssl.SSLContext, certfile: Path, keyfile: Path, *, where: tuple[str, str], password: str | None = None
) -> None:
    """Load a certificate for a context to present.

    Args:
        context: to load it into.
        certfile: the certificate, with its chain.
        keyfile: its key.
        where: the two are configured, for messages.
        password: of the key, if it is encrypted.

    Raises:
        ConfigError: a file cannot be read, or the two do not belong together.
    """

    prompted = False

    def pass_phrase() -> str:
        nonlocal prompted
        prompted = True
        # Otherwise OpenSSL would prompt at the terminal.
        if password is None:
            raise _EncryptedError
        return password

    for path, place in zip((certfile, keyfile), where, strict=True):
        _require_readable(path, place)
    try:
        context.load_cert_chain(certfile, keyfile, pass_phrase)
    except _EncryptedError:
        raise ConfigError(
            f"{keyfile} is encrypted with a pass phrase",
            where=where[1],
            remedy=f"decrypt it: openssl pkey -in {keyfile.name} -out plain.key; for brokers, set ssl_password",
        ) from None
    except ssl.SSLError as error:
        if prompted:
            raise ConfigError(f"the pass phrase does not fit {keyfile}", where=where[1]) from None
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"{keyfile} is not the key of {certfile}", where=where[1]) from None
        raise ConfigError(
            f"{certfile} and {keyfile} are not a certificate and its key, in PEM: {_reason(error)}", where=where[0]
        ) from None


def trust(context: ssl.SSLContext, ca_file: Path, where: str) -> None:
    """Make a context trust the authorities in a file.

    Raises:
        ConfigError: the file holds none.
    """
    _require_readable(ca_file, where)
    try:
        context.load_verify_locations(ca_file)
    except ssl.SSLError as error:
        raise ConfigError(f"{ca_file} holds no certificates to trust, in PEM: {_reason(error)}", where=where) from None


def _require_readable(path: Path, where: str) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", where=where) from None


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or error.strerror or str(error)).replace("_", " ").lower()
