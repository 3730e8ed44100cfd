"""``driftwatch train``: fit a reference to data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[Path, typer.Argument(help="Training configuration, YAML.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Where to write the bundle; overrides the configuration.")] = None,
) -> None:
    """Fit a flow, calibrate it on held-out data, and write a reference bundle with a report."""
    raise NotImplementedError(config, out)
