"""``driftwatch run``: the daemon."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer


def run(
    config: Annotated[Path, typer.Argument(help="Daemon configuration, YAML.", show_default=False)],
) -> NoReturn:
    """Watch streams: score samples, test windows, raise alerts, serve metrics.

    Stops cleanly on SIGTERM or Ctrl-C: finishes what it holds, commits, and leaves the group. SIGHUP makes it read its
    configuration again, and check for new references.
    """
    code = _run(config)
    # Everything is closed. Python's own exit takes over a second of CPU time with PyTorch loaded, and where a role
    # still waits for an unreachable broker, it would wait for that role's clients, too.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


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
