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

    Stops cleanly on SIGTERM or Ctrl-C: finishes what it holds, commits, and leaves the group. SIGHUP lets it read its
    configuration again, and look for other references.
    """
    code = _run(config)
    from driftwatch.running import RoleThread

    if any(isinstance(thread, RoleThread) for thread in threading.enumerate()):
        # A role still waits for a broker that is gone, and Python's own exit would wait for its clients.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _run(path: Path) -> int:
    from driftwatch.cli.certificates import require_certificates
    from driftwatch.cli.state_folder import held_state_folder, require_state_folder
    from driftwatch.config import load_config

    config = load_config(path)
    require_state_folder(config)
    require_certificates(config)
    with held_state_folder(config):
        if config.source.kind == "http" and config.source.forward is not None:
            from driftwatch.forwarder import run_forwarder

            return run_forwarder(config, config.source, config.source.forward)
        from driftwatch.daemon import run_daemon

        return run_daemon(config, lambda: load_config(path))
