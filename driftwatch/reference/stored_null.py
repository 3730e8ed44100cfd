"""The null of sliding windows as named arrays in a bundle, so that a daemon need not simulate it at every start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.combination import Combination
from driftwatch.stats.effect import EffectSize
from driftwatch.stats.members import members_for
from driftwatch.stats.null import DETECTORS, Distance, Statistics, WindowNull
from driftwatch.stats.sequential import SlidingNull
from driftwatch.stats.summary import Array, Layout
from driftwatch.stats.tail import Tail

FORMAT = 5
"""Version of these arrays and of the features of windows: a null of another version is simulated anew."""

SIZES, STEP = (50, 500), 10
"""Windows that are simulated when a bundle is made: the defaults of a configuration without windows."""

Arrays = Mapping[str, NDArray[Any]]


def null_arrays(simulated: SlidingNull) -> dict[str, Array]:
    """Named arrays of a null, which must not have time-based windows."""
    arrays = {
        "null.about": np.array([FORMAT, simulated.step, simulated.bank, simulated.block], dtype=np.float64),
        "null.sizes": np.array(list(simulated.nulls), dtype=np.float64),
        "null.p_values": simulated.p_values,
    }
    if simulated.stretches is not None:
        arrays["null.stretches"] = simulated.stretches
    for size, null in simulated.nulls.items():
        statistics, effect = null.statistics, null.effect_size
        named = {
            "tails": _of_tails([null.tails[name] for name in DETECTORS]),
            "mean": null.mean,
            "deviation": null.deviation,
            "parts_mean": null.parts_mean,
            "chance": effect.chance,
            "scalars": np.array([statistics.nll_centre, effect.most, effect.deviation]),
            "whole": statistics.whole.astype(np.float64),
            "combined": statistics.combination.columns.astype(np.float64),
            "combined_tails": _of_tails(statistics.combination.tails),
            "combined_sums": _of_tails(statistics.combination.sums),
            **_of_distance(statistics.geometry),
        }
        arrays |= {f"null.{size}.{name}": array for name, array in named.items()}
    return arrays


def stored_null(arrays: Arrays, layout: Layout) -> SlidingNull | None:
    """The inverse of `null_arrays`; None if a bundle contains no null, or one of another format.

    Args:
        arrays: all of the bundle's calibration.
        layout: of the summaries that are tested.

    Raises:
        KeyError: an array is missing.
    """
    if "null.about" not in arrays or arrays["null.about"][0] != FORMAT:
        return None
    _, step, bank, block = arrays["null.about"].astype(int).tolist()
    sizes = arrays["null.sizes"].astype(int).tolist()
    nulls = {size: _window_null(arrays, size, layout) for size in sizes}
    others, stretches = int(arrays["others"][0]), arrays.get("null.stretches")
    return SlidingNull(nulls, step, arrays["null.p_values"], bank, others, stretches=stretches, block=block)


def _window_null(arrays: Arrays, size: int, layout: Layout) -> WindowNull:
    prefix = f"null.{size}."
    held = {name.removeprefix(prefix): each for name, each in arrays.items() if name.startswith(prefix)}
    nll_centre, most, deviation = held["scalars"].tolist()
    members = members_for(layout, size)
    return WindowNull(
        size=size,
        layout=layout,
        statistics=Statistics(
            geometry=_distance(held),
            nll_centre=nll_centre,
            groups=tuple(name for name, _ in layout.groups),
            whole=held["whole"].astype(np.intp),
            members=members,
            combination=Combination(
                members.coordinates,
                held["combined"].astype(np.intp),
                tuple(_tails(held["combined_tails"])),
                tuple(_tails(held["combined_sums"])),
            ),
        ),
        tails=dict(zip(DETECTORS, _tails(held["tails"]), strict=True)),
        mean=held["mean"],
        deviation=held["deviation"],
        effect_size=EffectSize(held["chance"], most, deviation),
        parts_mean=held["parts_mean"],
    )


def _of_tails(tails: Sequence[Tail]) -> Array:
    """One row per tail: share, shape, scale, quantiles."""
    return np.array([[each.share, each.shape, each.scale, *each.quantiles] for each in tails])


def _tails(rows: Array) -> list[Tail]:
    return [Tail(row[3:], *row[:3].tolist()) for row in rows]


def _of_distance(geometry: Distance) -> dict[str, Array]:
    return {
        "geometry.columns": geometry.columns.astype(np.float64),
        "geometry.centre": geometry.centre,
        "geometry.whitener": geometry.whitener,
    }


def _distance(held: Arrays) -> Distance:
    columns, centre, whitener = (held[f"geometry.{part}"] for part in ("columns", "centre", "whitener"))
    # Stored in memory by columns, as when it was fitted: products with it then round alike for one window and for many.
    return Distance(columns.astype(np.intp), centre, np.asfortranarray(whitener))
