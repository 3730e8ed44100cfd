"""Tables of what a reference detects, and its warnings, on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from driftwatch.cli.console import stdout, table

if TYPE_CHECKING:
    from driftwatch.data.schema import Schema
    from driftwatch.reference.detectable import Detectable
    from driftwatch.reference.fitness import Unfit

WIDE = 100
"""Of embeddings of more numbers, other mixtures of known topics are seen late (docs/accuracy.md, real texts)."""


def show_findings(detectable: Sequence[Detectable], warnings: Sequence[Unfit], remarks: Sequence[str]) -> None:
    """Print what a new reference detects, why it may be unfit, and remarks on the default windows."""
    console = stdout()
    if detected := detectable_table({"": detectable}):
        console.print()
        console.print(detected)
    for warning in warnings:
        console.print()
        console.print(f"warning: {warning}")
    for remark in remarks:
        console.print()
        console.print(f"with the default windows: {remark}")


def show_wide(schema: Schema) -> None:
    """Print what the table of detectable shifts does not tell of wide embeddings."""
    if schema.kind == "vector" and schema.dim > WIDE:
        console = stdout()
        console.print()
        console.print(
            "embeddings this wide: known topics that become more or less frequent are seen late, and better in windows "
            "of 500 than of 50; driftwatch evaluate tells how well in yours"
        )


def detectable_table(by_reference: Mapping[str, Sequence[Detectable]]) -> Table | None:
    """A table of the smallest detectable shifts, by the reference's name; None if there are none."""
    from driftwatch.reference.detectable import POWER

    rows = [row for found in by_reference.values() for row in found]
    if not rows:
        return None
    windows = {f"n={size}": size for size in sorted({row.window for row in rows})}
    named = ("reference",) if len(by_reference) > 1 else ()
    shifts = table(
        f"Smallest shift detected: {POWER:.0%} of windows alarm, at a false alarm in {rows[0].budget:,.0f} samples",
        *named,
        "shift",
        *windows,
        "unit",
        numeric=tuple(windows),
    )
    for name, found in by_reference.items():
        for shift, unit in dict.fromkeys((row.shift, row.unit) for row in found):
            by_size = {row.window: str(row) for row in found if row.shift == shift}
            cells = [by_size.get(size, "-") for size in windows.values()]
            shifts.add_row(*([name] if named else []), shift, *cells, unit)
    return shifts
