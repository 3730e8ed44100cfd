"""``driftwatch backtest``: the alarms that a configuration would have raised on past data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftwatch.backtest.periods import By
from driftwatch.cli.console import DATA_HELP, OutputFormat, print_remark, sample_progress, stderr
from driftwatch.locations import locate

if TYPE_CHECKING:
    from driftwatch.backtest.history import History
    from driftwatch.backtest.watching import Backtest
    from driftwatch.config import DaemonConfig, StreamConfig


KINDS = ("", ".windows", ".periods")
"""What tells the tables of one --out apart, in the names of their files."""


def backtest(
    config: Annotated[Path, typer.Argument(help="Daemon configuration, YAML.", show_default=False)],
    data: Annotated[str, typer.Argument(help=f"Past data, in its original order: {DATA_HELP}", show_default=False)],
    time: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column with the event time of each row.")] = None,
    stream: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which stream of the configuration, if it has several.")
    ] = None,
    by: Annotated[By, typer.Option(help="Period to summarise by; auto is days, or months if there are many.")] = "auto",
    out: Annotated[
        str | None,
        typer.Option(
            help="Write the alarms, .csv, .parquet or .jsonl, to a path or URL; windows and periods go beside them, "
            "to NAME.windows.SUFFIX and NAME.periods.SUFFIX."
        ),
    ] = None,
    picture: Annotated[Path | None, typer.Option(metavar="FILE", help="Plot the result, as .png.")] = None,
    format: Annotated[  # noqa: A002 - the option's name
        OutputFormat, typer.Option(help="Tables for people, or JSON.")
    ] = "table",
) -> None:
    """Report the alarms that a configuration would have raised on past data, and what moved in each month.

    Windows, thresholds and alerts are those that the daemon would have had. Nothing is sent and no broker is contacted:
    the configuration's source and sinks are ignored.
    """
    from driftwatch.backtest.output import alarm_columns, period_columns, to_json, window_columns
    from driftwatch.backtest.watching import Backtest
    from driftwatch.cli.backtest_tables import show
    from driftwatch.cli.tables import FileTable, check_place, spare_data
    from driftwatch.config import load_config
    from driftwatch.daemon import load_references
    from driftwatch.data.readers import open_dataset
    from driftwatch.errors import UsageError

    place = None if out is None else locate(out)
    if place is not None:
        check_place(place)
    if picture is not None and picture.suffix != ".png":
        raise UsageError(f"unknown suffix {picture.suffix!r}", where=str(picture), remedy="end it in .png")
    loaded = load_config(config)
    chosen = _stream(loaded, stream)
    loaded = loaded.model_copy(update={"streams": [chosen]})
    dataset = open_dataset(data)
    places = {} if place is None else {kind: place.with_name(f"{place.stem}{kind}{place.suffix}") for kind in KINDS}
    spare_data(dataset, places.values())
    with stderr().status("loading the reference and calibrating thresholds"):
        (reference,) = load_references(loaded).values()
        work = Backtest(loaded, reference, dataset, time)
        history = work.prepare(by)
    with sample_progress() as progress:
        task = progress.add_task("watching", total=dataset.rows)
        work.run(history, lambda samples: progress.advance(task, samples))
    if places:
        tables = {"": alarm_columns(history), ".windows": window_columns(history), ".periods": period_columns(history)}
        for kind, columns in tables.items():
            with FileTable(places[kind]) as table:
                table.write(columns)
    if picture is not None:
        from driftwatch.backtest.picture import write_picture

        write_picture(picture, history, chosen.name)
    if format == "json":
        import orjson

        typer.echo(orjson.dumps(to_json(history, loaded, chosen.name)).decode())
    else:
        show(history, loaded, chosen.name)
    for remark in _remarks(work, history, time):
        print_remark(f"warning: {remark}")


def _stream(config: DaemonConfig, name: str | None) -> StreamConfig:
    """The stream to watch.

    Raises:
        UsageError: there is none of that name, or there are several and none is named.
    """
    from driftwatch.errors import UsageError

    names = [each.name for each in config.streams]
    if name is None and len(names) == 1:
        return config.streams[0]
    found = config.stream(name) if name is not None else None
    if found is None:
        what = f"no stream is called {name!r}" if name is not None else f"{len(names)} streams are configured"
        raise UsageError(what, where="--stream", remedy=f"name one: {', '.join(names) or 'a forwarder has none'}")
    return found


def _remarks(work: Backtest, history: History, time: str | None) -> Iterator[str]:
    """Reasons to doubt the results."""
    times = work.times
    if times is not None and times.late:
        yield (
            f"{times.late:,} rows are older than rows before them, the first at index {times.first_late:,}, by up to "
            f"{times.latest_ms / 1000:,.0f} s: rows were taken in file order (sort them by {time} if they came so)"
        )
    if refused := work.refusals.rows:
        yield f"skipped {len(refused):,} rows that cannot be read, the first {refused[0]}"
    yield from history.standard.procedure.remarks
