"""``driftwatch run``: the daemon."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer


def run(
    config: Annotated[Path, typer.Argument(help="Daemon configuration, YAML.", show_default=False)],
) -> int:
    """Watch streams: score samples, test windows, raise alerts, serve metrics.

    Stops cleanly on SIGTERM or Ctrl-C: finishes what it holds, commits, and leaves the group.
    """
    from driftwatch.config import load_config

    loaded = load_config(config)
    from driftwatch.daemon import run_daemon
    from driftwatch.running import RoleThread

    code = run_daemon(loaded)
    if any(isinstance(thread, RoleThread) for thread in threading.enumerate()):
        # A role still waits for a broker that is gone, and Python's own exit would wait for its clients.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
