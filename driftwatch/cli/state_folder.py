"""The state folder: checked before the daemon starts, and locked while it runs."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog

from driftwatch.config import DaemonConfig
from driftwatch.errors import ConfigError, SourceError
from driftwatch.locations import try_folder

LOCK = ".lock"
PATIENCE_S = 10.0
"""How long to wait for another daemon to release the folder: stopping takes five seconds at most."""

PAUSE_S = 0.1

log = structlog.get_logger("driftwatch")


def require_state_folder(config: DaemonConfig) -> None:
    """Refuse a folder that state cannot be written to; the check leaves nothing behind.

    Raises:
        ConfigError: the folder cannot be written to.
    """
    folder = config.local_state
    if folder is None:
        return
    try:
        # Permission bits do not tell: root may write anywhere, but nobody can create a folder in /proc.
        try_folder(folder)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written to by user {os.getuid()}: {error.strerror}",
            where="state_dir",
            remedy=f"check {error.filename}, or choose another folder",
        ) from None


@contextmanager
def held_state_folder(config: DaemonConfig) -> Iterator[None]:
    """Lock the state folder: two daemons would overwrite each other's state unnoticed.

    The kernel releases the lock when the process ends, however it ends.

    Raises:
        SourceError: another daemon holds the lock.
    """
    folder = config.local_state
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+") as file:
        _lock(file, str(folder))
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def _lock(file: TextIO, folder: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(PAUSE_S)
                continue
            file.seek(0)
            raise SourceError(
                f"{folder} is in use by another driftwatch, {file.read() or 'which did not identify itself'}",
                where="state_dir",
                remedy="give each daemon a folder of its own",
            ) from None
        except OSError as error:
            log.warning("state_dir cannot be locked against other daemons", folder=folder, reason=error.strerror)
        return
