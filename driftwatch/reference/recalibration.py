"""A bundle's null renewed: the same flow, held against other data that is normal from now on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from driftwatch.data.schema import Samples
from driftwatch.errors import TrainingError
from driftwatch.reference.bundle import Bundle, write_bundle
from driftwatch.reference.calibration import calibrate
from driftwatch.reference.training_data import MIN_HELD_OUT, require_variety

DESCRIBED_SHARE = 0.3
"""Of the samples, by which descriptors are whitened; the rest calibrates."""


def recalibrate(
    bundle: Bundle, samples: Samples, out: Path, *, where: str, bank_size: int = 5_000, overwrite: bool = False
) -> str:
    """Writes a bundle with the flow of another, calibrated on new samples.

    Args:
        bundle: whose flow, schema and name are kept.
        samples: of what is normal now, ``(N, *sample_shape)``; the flow must not have been fitted to them.
        out: the new bundle's folder.
        where: the samples come from, for errors and the manifest.
        bank_size: the most samples to keep for resampling nulls.
        overwrite: take the place of a bundle at `out`.

    Returns:
        The new bundle's version.

    Raises:
        TrainingError: there are too few samples, or they are all the same.
        BundleError: it cannot be written.
    """
    needed = int(np.ceil(MIN_HELD_OUT / (1.0 - DESCRIBED_SHARE)))
    if len(samples) < needed:
        raise TrainingError(
            f"{len(samples)} samples are too few to calibrate with", where=where, remedy=f"give at least {needed}"
        )
    require_variety(samples, where)
    order = np.random.default_rng(0).permutation(len(samples))
    described = int(DESCRIBED_SHARE * len(samples))
    arrays = calibrate(bundle.flow, samples[order[described:]], samples[order[:described]], bank_size=bank_size)
    told = {"from_version": bundle.version, "data": where, "rows": len(samples)}
    training = bundle.manifest.get("training", {})
    return write_bundle(
        out,
        name=bundle.name,
        schema=bundle.schema,
        flow=bundle.flow,
        calibration=arrays,
        facts={"training": training, "recalibrated": told},
        overwrite=overwrite,
    )
