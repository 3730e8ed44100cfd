"""``driftwatch evaluate``: how well a reference separates shifted data from its own kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from driftwatch.cli.console import OutputFormat, stderr, stdout, table
from driftwatch.errors import UsageError
from driftwatch.terminal import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table

    from driftwatch.data.schema import Schema
    from driftwatch.reference.evaluation import Evaluation


def evaluate(
    bundle: Annotated[str, typer.Argument(help="Reference bundle, a path or URL.", show_default=False)],
    reference: Annotated[str, typer.Option("--reference", metavar="DATA", help="Fresh data of the reference's kind.")],
    shifted: Annotated[
        list[str], typer.Option("--shifted", metavar="NAME=DATA", help="Shifted data; may be repeated.")
    ],
    windows: Annotated[str, typer.Option(help="Window sizes in samples, separated by commas.")] = "1,5,10,50",
    samples: Annotated[int, typer.Option(min=20, help="The most samples to use, spread over each data set.")] = 10_000,
    parts: Annotated[
        bool, typer.Option("--parts", help="Also evaluate the moments that are part of the combined detector.")
    ] = False,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also evaluate MMD and KS tests on raw values.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the random draws.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    format: Annotated[  # noqa: A002 - the option's name
        OutputFormat, typer.Option(help="A table for people, or a JSON list.")
    ] = "table",
) -> None:
    """Measure AUROC and detection rate of every detector, for each shift and window size."""
    sizes = _sizes(windows)
    named = _named(shifted)

    import orjson
    from rich.text import Text

    from driftwatch.cli.bundles import open_scorer
    from driftwatch.reference.evaluation import evaluate as evaluations

    scorer = open_scorer(bundle, device)
    schema = scorer.reference.schema
    clean = _read(reference, schema, samples)
    moved = {name: _read(path, schema, samples) for name, path in named.items()}
    held = {reference: len(clean)} | {named[name]: len(found) for name, found in moved.items()}
    for line in _repeating(sizes, held | {f"the bank of {bundle}": len(scorer.reference.bank)}):
        stderr().print(line)
    rows = []
    with stderr().status("evaluating") as status:
        for row in evaluations(
            scorer, clean, moved, windows=sizes, with_parts=parts, with_baselines=baselines, seed=seed
        ):
            rows.append(row)
            status.update(Text(printable(f"evaluated {row.shift}, windows of {row.window}")))
    if format == "json":
        typer.echo(orjson.dumps([row.to_json() for row in rows]).decode())
        return
    stdout().print(_table(rows))


def _table(rows: Sequence[Evaluation]) -> Table:
    """AUROCs and detection rates: a row per shift and detector, a column per window size, which fits into a line."""
    from driftwatch.reference.evaluation import DEFAULT_BUDGET

    budget = f"{DEFAULT_BUDGET:,.0f}"
    title = (
        f"AUROC in %; in brackets the % of shifted windows that alarm at p <= window / {budget}:\n"
        f"one false alarm in {budget} samples, of windows side by side"
    )
    cells = {
        (row.shift, row.detector, row.window): f"{100 * row.auroc:.1f} ({100 * row.tpr_at_budget:.0f})" for row in rows
    }
    windows = {f"n={size}": size for size in dict.fromkeys(row.window for row in rows)}
    aurocs = table(title, "shift", "detector", *windows, numeric=tuple(windows))
    for shift, detector in dict.fromkeys((row.shift, row.detector) for row in rows):
        aurocs.add_row(shift, detector, *(cells[shift, detector, size] for size in windows.values()))
    return aurocs


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        sizes = ()
    if not sizes or sizes[0] < 1 or sizes[-1] > 100_000:
        raise UsageError(f"{text!r} is no list of window sizes", where="--windows", remedy="write 1,5,10,50")
    return sizes


def _repeating(sizes: Sequence[int], held: Mapping[str, int]) -> Iterator[str]:
    """Warnings about windows that contain a sample more than once.

    Args:
        sizes: of the windows.
        held: number of samples to draw windows from, by data set.
    """
    from driftwatch.stats.resample import LARGEST_SHARE, repeats

    for where, count in held.items():
        large = [f"{size:,}" for size in sizes if repeats(size, count)]
        if large:
            yield (
                f"warning: windows of {', '.join(large)} hold samples more than once, as {where} has {count:,} to draw "
                f"from: figures are off (use windows of at most {int(LARGEST_SHARE * count):,}, or more samples)"
            )


def _named(shifted: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for text in shifted:
        name, equals, path = text.partition("=")
        if not equals or not name or not path:
            raise UsageError(f"{text!r} is not NAME=DATA", where="--shifted", remedy="write mnist=mnist.npz")
        if name in named:
            raise UsageError(f"{name!r} is given twice", where="--shifted", remedy="name each shift once")
        named[name] = path
    return named


def _read(path: str, schema: Schema, limit: int) -> NDArray[np.floating]:
    from driftwatch.data.readers import open_dataset

    return open_dataset(path).spread(schema, limit)[1]
