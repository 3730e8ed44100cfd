"""Nulls of sliding windows as named arrays in a bundle, so that a daemon need not simulate them at every start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.between import NullGrid
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
"""Windows that are simulated whenever a bundle is made: the defaults of a configuration without windows."""

PREFIX = "null"
"""Begins the names of the arrays of the default windows, as of the only null that versions without others look for.
Names of others continue it with their windows."""

ABOUT = ".about"

Arrays = Mapping[str, NDArray[Any]]


def null_arrays(*simulated: SlidingNull) -> dict[str, Array]:
    """Named arrays of nulls, each of other windows."""
    return {name: array for null in simulated for name, array in _of_sliding_null(null).items()}


def without_nulls(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The other arrays of a bundle's calibration."""
    return {name: array for name, array in arrays.items() if not name.startswith(PREFIX)}


def stored_nulls(arrays: Arrays, layout: Layout) -> tuple[SlidingNull, ...]:
    """The inverse of `null_arrays`: the nulls in a bundle, without those of another format.

    Args:
        arrays: all of the bundle's calibration.
        layout: of the summaries that are tested.

    Raises:
        KeyError: an array is missing.
    """
    abouts = [name for name in sorted(arrays) if name.startswith(PREFIX) and name.endswith(ABOUT)]
    return tuple(
        _sliding_null(arrays, name.removesuffix(ABOUT), layout) for name in abouts if arrays[name][0] == FORMAT
    )


def _prefix(simulated: SlidingNull) -> str:
    if simulated.is_of(SIZES, STEP, by_time=False):
        return PREFIX
    by_time = "_time" if simulated.grid is not None else ""
    return f"{PREFIX}_{'_'.join(map(str, simulated.nulls))}{by_time}_by_{simulated.step}"


def _of_sliding_null(simulated: SlidingNull) -> dict[str, Array]:
    prefix = _prefix(simulated)
    arrays = {
        prefix + ABOUT: np.array([FORMAT, simulated.step, simulated.bank, simulated.block], dtype=np.float64),
        f"{prefix}.sizes": np.array(list(simulated.nulls), dtype=np.float64),
        f"{prefix}.p_values": simulated.p_values,
    }
    if simulated.stretches is not None:
        arrays[f"{prefix}.stretches"] = simulated.stretches
    for null in simulated.nulls.values():
        arrays |= _of_window_null(null, prefix)
    if simulated.grid is not None:
        arrays[f"{prefix}.grid"] = np.array([null.size for null in simulated.grid.nulls], dtype=np.float64)
        for null in simulated.grid.nulls:
            arrays |= _of_window_null(null, f"{prefix}.grid")
    return arrays


def _sliding_null(arrays: Arrays, prefix: str, layout: Layout) -> SlidingNull:
    _, step, bank, block = arrays[prefix + ABOUT].astype(int).tolist()
    nulls = [_window_null(arrays, prefix, size, layout) for size in _sizes(arrays[f"{prefix}.sizes"])]
    grid = [_window_null(arrays, f"{prefix}.grid", size, layout) for size in _sizes(arrays.get(f"{prefix}.grid"))]
    return SlidingNull(
        {null.size: null for null in nulls},
        step,
        arrays[f"{prefix}.p_values"],
        bank,
        int(arrays["others"][0]),
        NullGrid(tuple(grid)) if grid else None,
        arrays.get(f"{prefix}.stretches"),
        block,
    )


def _sizes(array: Array | None) -> list[int]:
    return [] if array is None else [int(size) for size in array]


def _of_window_null(null: WindowNull, prefix: str) -> dict[str, Array]:
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
    return {f"{prefix}.{null.size}.{name}": array for name, array in named.items()}


def _window_null(arrays: Arrays, prefix: str, size: int, layout: Layout) -> WindowNull:
    prefix = f"{prefix}.{size}."
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
