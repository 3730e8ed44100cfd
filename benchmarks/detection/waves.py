"""Generated images as the reference, small enough for every test run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.detection import pixels
from benchmarks.detection.material import Likelihood, Material, Shift
from tests.synthetic import shuffled_rows, waves


def waves_of(samples: int, seed: int) -> Material:
    """Plane waves of 8x8 pixels."""
    train, fresh = (waves(count, seed + i)[:, 0].astype(np.uint8) for i, count in enumerate((4_000, samples)))
    made = {
        "rows shuffled": shuffled_rows(waves(samples, seed + 2), seed)[:, 0].astype(np.uint8),
        "gain 0.9": pixels.gained(fresh, 0.9),
    }

    def shifts(_: Likelihood) -> Mapping[str, Shift]:
        return {name: Shift(images, sizes=(5, 50)) for name, images in made.items()}

    return Material(
        name="waves",
        description="plane waves of 8x8 pixels, generated",
        train=train,
        config={
            "flow": {"scales": 2, "steps": 2, "hidden": 8},
            "training": {
                "minutes": 1,
                "max_steps": 60,
                "validate_every": 30,
                # So few that detectable shifts, which take long and are not reported here, are not searched for.
                "validation_fraction": 0.02,
                "calibration_fraction": 0.3,
            },
        },
        fresh=fresh,
        shifts=shifts,
    )
