"""``driftwatch score``: a data set against a reference, offline."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Annotated

import typer

from driftwatch.cli.console import DATA_HELP, OutputFormat, sample_progress, stderr
from driftwatch.locations import Location, locate


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

    Without --out the rows go to the terminal: of the samples, or with --window of the windows.
    """
    from driftwatch.cli.tables import FileTable, JsonLines, TableWriter, TextTable, check_place

    place = None if out is None else locate(out)
    if place is not None:
        check_place(place)
    from driftwatch.cli.bundles import open_scorer
    from driftwatch.data.readers import open_dataset
    from driftwatch.reference.offline import score_dataset

    scorer = open_scorer(bundle, device)
    dataset = open_dataset(data)
    count = tested = 0
    with ExitStack() as stack:
        samples: FileTable | TableWriter | None
        windows: FileTable | TableWriter | None
        if place is not None:
            samples = stack.enter_context(FileTable(place))
            windows = stack.enter_context(FileTable(windows_path(place)))
        else:
            terminal = JsonLines(sys.stdout.buffer.write) if format == "json" else TextTable()
            samples, windows = (None, terminal) if window else (terminal, None)
        progress = stack.enter_context(sample_progress()) if place is not None else None
        task = progress.add_task("scoring", total=dataset.rows) if progress else None
        for part in score_dataset(scorer, dataset.chunks(scorer.reference.schema), window=window):
            if samples is not None:
                samples.write(part.samples)
            if windows is not None and part.windows is not None:
                windows.write(part.windows)
            tested += 0 if part.windows is None else len(part.windows["window"])
            rows = len(part.samples["index"])
            count += rows
            if progress is not None and task is not None:
                progress.advance(task, rows)
    sys.stdout.flush()
    remarks = [f"{count} samples"]
    if window:
        left = count - tested * window
        remarks.append(f"{tested} windows of {window}" + (f", {left} samples left over" if left else ""))
    places = [str(each) for each in ((place, windows_path(place)) if window else (place,))] if place else []
    stderr().print(", ".join(remarks) + (f" -> {', '.join(places)}" if places else ""))


def windows_path(out: Location) -> Location:
    """Where the rows of windows go, beside those of samples."""
    return out.with_name(f"{out.stem}.windows{out.suffix}")
