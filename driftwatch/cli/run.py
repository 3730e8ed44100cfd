"""``driftwatch run``: the daemon."""

from __future__ import annotations

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

    return run_daemon(loaded)
