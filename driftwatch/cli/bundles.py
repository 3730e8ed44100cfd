"""Opening a reference bundle for a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftwatch.reference.scoring import Scorer


def open_scorer(bundle: str, device: str) -> Scorer:
    """Load and verify a bundle.

    Raises:
        BundleError: it is missing, damaged or of another format version.
        UsageError: there is no such device.
    """
    from driftwatch.reference.device import choose_device
    from driftwatch.reference.loading import load_reference
    from driftwatch.reference.scoring import Scorer

    return Scorer(load_reference(bundle, choose_device(device)))
