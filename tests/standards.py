"""What tests of streams are tested against: windows of few samples, and usual settings otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from driftwatch.stream.standards import Standards

STEP = 10


def standards_of(sizes: Sequence[int], **changed: Any) -> Standards:
    """Standards for windows of `sizes` samples every `STEP`, with the settings that are `changed`."""
    usual = {"step": STEP, "budget": 1e6, "min_effect": 0.0, "resolve_after": 3, "severity": {"warning": 0.0}}
    return Standards(sizes=sizes, **{**usual, **changed})
