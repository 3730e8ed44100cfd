"""The folder for state, tried before the work."""

from __future__ import annotations

import os

from driftwatch.config import DaemonConfig
from driftwatch.errors import ConfigError
from driftwatch.locations import try_folder


def require_state_folder(config: DaemonConfig) -> None:
    """Refuses a folder that state cannot be written to; nothing is left of the attempt.

    Raises:
        ConfigError: see above.
    """
    folder = config.local_state
    if folder is None:
        return
    try:
        # Rights say that root may write anywhere, and nobody makes a folder in /proc.
        try_folder(folder)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written to by user {os.getuid()}: {error.strerror}",
            where="state_dir",
            remedy=f"see to {error.filename}, or name another folder",
        ) from None
