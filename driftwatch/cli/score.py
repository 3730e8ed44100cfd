"""``driftwatch score``: offline scoring of a data set against a reference."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from driftwatch.cli.console import DATA_HELP, OutputFormat, sample_progress, stderr, stdout
from driftwatch.locations import Location, locate

if TYPE_CHECKING:
    from driftwatch.cli.tables import FileTable, TableWriter
    from driftwatch.cli.window_table import WindowTable
    from driftwatch.data.readers import Dataset
    from driftwatch.data.refused_rows import Refusals, RefusedRow
    from driftwatch.reference.offline import Scored
    from driftwatch.reference.scoring import Scorer
    from driftwatch.stats.null import WindowNull

    AnyTable = FileTable | TableWriter

SHOWN_REFUSED = 5
"""Skipped rows for which the terminal shows the reason."""


def score(
    bundle: Annotated[str, typer.Argument(help="Reference bundle, a path or URL.", show_default=False)],
    data: Annotated[str, typer.Argument(help=DATA_HELP, show_default=False)],
    window: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Also test windows of so many samples, side by side.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Write .csv, .parquet or .jsonl, to a path or URL; windows go beside it, to NAME.windows.SUFFIX."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    format: Annotated[  # noqa: A002 - the option's name
        OutputFormat, typer.Option(help="Without --out: a table for people, or JSON lines.")
    ] = "table",
) -> None:
    """Score every sample: score, location, scale, dependence, nll (nats) and p_value.

    Without --out the rows go to the terminal: of the samples, or with --window of the windows, each with its effect
    (nats per sample), the p-value of the combined statistic, whether it would alarm, and what moved.

    Rows that cannot be read are skipped and reported, with --out in NAME.refused.SUFFIX; if most are such, it fails.
    """
    from driftwatch.cli.tables import FileTable, JsonLines, TextTable, check_place, spare_data

    place = None if out is None else locate(out)
    if place is not None:
        check_place(place)
    from driftwatch.cli.bundles import open_scorer
    from driftwatch.cli.window_table import WindowTable
    from driftwatch.data.readers import open_dataset
    from driftwatch.data.refused_rows import Refusals
    from driftwatch.reference.evaluation import side_by_side
    from driftwatch.reference.offline import score_dataset

    scorer = open_scorer(bundle, device)
    dataset = open_dataset(data)
    if place is not None:
        spare_data(dataset, (place, windows_path(place), refused_path(place)))
    null = _null(scorer, window, dataset) if window else None
    threshold = side_by_side(window) if window else 0.0
    count = tested = alarms = 0
    refusals = Refusals()
    with ExitStack() as stack:
        samples: AnyTable | None
        windows: AnyTable | None
        lines: WindowTable | None = None
        if place is not None:
            samples = stack.enter_context(FileTable(place))
            windows = stack.enter_context(FileTable(windows_path(place)))
        elif window and format == "table":
            samples, windows, lines = None, None, WindowTable(scorer.reference, dataset.rows, stdout().width, refusals)
        else:
            terminal = JsonLines(sys.stdout.buffer.write) if format == "json" else TextTable()
            samples, windows = (None, terminal) if window else (terminal, None)
        progress = stack.enter_context(sample_progress()) if place is not None else None
        task = progress.add_task("scoring", total=dataset.rows) if progress else None
        chunks = dataset.chunks(scorer.reference.schema, refusals=refusals)
        for part in score_dataset(scorer, chunks, null=null):
            _write(part, refusals, samples, windows)
            if part.windows is not None:
                if lines and null and part.summaries is not None and part.tested:
                    lines.write(null, part.summaries, part.tested, part.flaws)
                p_values = part.windows["combined_p_value"].astype(float)
                tested, alarms = tested + len(p_values), alarms + int((p_values <= threshold).sum())
            rows = len(part.samples["index"])
            count += rows
            if progress is not None and task is not None:
                progress.advance(task, rows)
    sys.stdout.flush()
    _print_totals(count, tested, window, place)
    if window:
        stderr().print("\n".join(_alarm_rule(window, alarms)))
    _report_refused(refusals.rows, place)


def _write(part: Scored, refusals: Refusals, samples: AnyTable | None, windows: AnyTable | None) -> None:
    """Append scored rows, with their indices in the data."""
    if samples is not None:
        samples.write({**part.samples, "index": refusals.index_of(part.samples["index"])})
    if windows is not None and part.windows is not None:
        start, last = refusals.index_of(part.windows["start"]), refusals.index_of(part.windows["end"] - 1)
        windows.write({**part.windows, "start": start, "end": last + 1})


def _print_totals(count: int, tested: int, window: int | None, out: Location | None) -> None:
    """Print how much was scored, and where it was written."""
    totals = [f"{count} samples"]
    if window:
        left = count - tested * window
        totals.append(f"{tested} windows of {window}" + (f", {left} samples left over" if left else ""))
    places = [str(each) for each in ((out, windows_path(out)) if tested else (out,))] if out else []
    stderr().print(", ".join(totals) + (f" -> {', '.join(places)}" if places else ""))


def _null(scorer: Scorer, window: int, dataset: Dataset) -> WindowNull:
    """The null of windows of a size; refuses windows that are longer than the data."""
    from driftwatch.errors import UsageError

    if window > dataset.rows:
        raise UsageError(
            f"has {dataset.rows:,} samples: no window of {window:,}",
            where=str(dataset.path),
            remedy="give a smaller --window",
        )
    with stderr().status(f"calibrating windows of {window:,}"):
        return scorer.window_null(window)


def _alarm_rule(window: int, alarms: int) -> Sequence[str]:
    """How many windows would alarm, by which rule, and how a daemon differs, in lines."""
    from driftwatch.reference.evaluation import DEFAULT_BUDGET, side_by_side

    budget = f"{DEFAULT_BUDGET:,.0f}"
    rule = f"p <= {side_by_side(window):g} ({window} / {budget})"
    return (
        f"{alarms:,} would alarm: {rule}, one false alarm in {budget} samples",
        "p is of the combined statistic, effects are in nats/sample",
        "a daemon's windows overlap and alarm at another p: run driftwatch check to see it",
    )


def _report_refused(refused: Sequence[RefusedRow], out: Location | None) -> None:
    """Write skipped rows to a file next to the scores, and print the reasons for a few of them."""
    import numpy as np

    from driftwatch.cli.tables import FileTable

    console = stderr()
    named = ""
    if out is not None:
        with FileTable(refused_path(out)) as table:
            if refused:
                names = ("index", "where", "reason")
                table.write({name: np.array([getattr(row, name) for row in refused]) for name in names})
        named = f" -> {table.path}"
    if not refused:
        return
    console.print(f"warning: skipped {len(refused):,} rows that cannot be read{named}", soft_wrap=True)
    for row in refused[:SHOWN_REFUSED]:
        console.print(f"  {row}", soft_wrap=True)
    if len(refused) > SHOWN_REFUSED:
        console.print(f"  and {len(refused) - SHOWN_REFUSED:,} more")


def windows_path(out: Location) -> Location:
    """The file for rows of windows, next to that of samples."""
    return out.with_name(f"{out.stem}.windows{out.suffix}")


def refused_path(out: Location) -> Location:
    """The file for rows that were skipped, next to that of samples."""
    return out.with_name(f"{out.stem}.refused{out.suffix}")
