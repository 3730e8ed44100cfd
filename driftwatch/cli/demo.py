"""``driftwatch demo``: the whole story with nothing installed but Python."""

from __future__ import annotations


def demo() -> None:
    """Train a small reference, replay a stream with a drift in it, and watch the alert fire and resolve."""
    raise NotImplementedError
