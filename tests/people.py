"""Generated rows of a table, and a small reference trained on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import driftwatch

SETTINGS = {
    "flow": {"layers": 2, "hidden": 8},
    # So few samples to validate with that detectable shifts, which take long, are not searched for.
    "training": {"max_steps": 60, "validation_fraction": 0.04, "calibration_fraction": 0.3},
}


def rows(count: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    """Ages with incomes that correlate, and towns that are independent of both."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 10, count)
    income = 1_000 + 50 * age + rng.normal(0, 300, count)
    return pd.DataFrame({"age": age + 10 * shift, "income": income, "town": rng.choice(["Ulm", "Bonn", "Hof"], count)})


def people_bundle(folder: Path) -> Path:
    """A bundle with a barely trained flow; its calibration is complete."""
    driftwatch.train(rows(2_000, seed=0), folder / "mine", settings=SETTINGS)
    return folder / "mine"
