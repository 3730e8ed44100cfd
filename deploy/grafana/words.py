"""Values in words and colours, as a panel's field configuration asks for them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

COLOURS = {
    "green": "#37872d",
    "red": "#c4162a",
    "orange": "#e0711c",
    "yellow": "#b88a00",
    "blue": "#1f60c4",
    "text": "#24292e",
}
_SHORT = ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"))
_BYTES = ((2.0**30, " GiB"), (2.0**20, " MiB"), (2.0**10, " KiB"))
_TIMES = ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))

Field = Mapping[str, Any]


def formatted(value: float, field: Field) -> tuple[str, str]:
    """A value's text and its colour.

    Args:
        value: to show.
        field: unit, decimals, mappings and thresholds of its field.
    """
    for mapping in field.get("mappings", ()):
        known = mapping["options"].get(f"{value:g}")
        if known:
            return known["text"], COLOURS[known["color"]]
    return text(value, field.get("unit", "short"), field.get("decimals")), _colour(value, field)


def text(value: float, unit: str, decimals: float | None = None) -> str:
    """A value with its unit.

    >>> text(1_234_567, "short"), text(0.25, "s"), text(150, "s"), text(0.00012, "sci"), text(1_000, "bytes")
    ('1.23 Mil', '250 ms', '2.5 min', '1.2e-04', '1000 B')
    """
    if not math.isfinite(value):
        return "-"
    if unit == "sci":
        return f"{value:.2g}" if value >= 0.01 else f"{value:.1e}"
    if unit == "s":
        least, name = next(((least, name) for least, name in _TIMES if abs(value) >= least), (1.0, "s"))
        return f"{value / least:.3g} {name}"
    if unit == "bytes" and abs(value) < _BYTES[-1][0]:
        return f"{value:.0f} B"
    for least, name in _BYTES if unit == "bytes" else _SHORT:
        if abs(value) >= least:
            return f"{value / least:.3g}{name}"
    return f"{value:.3g}" if decimals is None else f"{value:.{int(decimals)}f}"


def _colour(value: float, field: Field) -> str:
    colour = "text"
    for step in field.get("thresholds", {}).get("steps", ()):
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    return COLOURS[colour]
