"""Output of the commands: results to stdout, everything else to stderr, each error as one line."""

from __future__ import annotations

from typing import Any, Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from driftwatch.errors import DriftwatchError
from driftwatch.settings import ConfigErrors
from driftwatch.terminal import printable

DATA_HELP = ".npz, .npy, .parquet, .csv (also .gz), IDX or a folder of images or tables; a path or URL."
OutputFormat = Literal["table", "json"]


class PlainConsole(Console):
    """Prints text literally, since it may contain data: no markup unless requested, and no control characters."""

    def render_str(self, text: str, **options: Any) -> Text:
        """See `rich.console.Console`."""
        return super().render_str(printable(text), **options)


def stdout() -> Console:
    """The console for results."""
    return PlainConsole(highlight=False, soft_wrap=True, markup=False, emoji=False)


def stderr() -> Console:
    """The console for progress and remarks."""
    return PlainConsole(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def print_error(error: DriftwatchError | str) -> None:
    """Print an error to stderr: one line, or one for each problem of a configuration file."""
    problems = error.problems if isinstance(error, ConfigErrors) else (error,)
    for problem in problems:
        typer.secho(f"driftwatch: error: {_line(problem)}", err=True)


def print_remark(remark: DriftwatchError | str) -> None:
    """Print a line that is not an error to stderr."""
    typer.secho(f"driftwatch: {_line(remark)}", err=True)


def _line(message: DriftwatchError | str) -> str:
    return printable(" ".join(str(message).split()))


def table(title: str, *columns: str, numeric: tuple[str, ...] = ()) -> Table:
    """An empty table; `numeric` columns are right-aligned."""
    empty = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        empty.add_column(column, justify="right" if column in numeric else "left", overflow="fold")
    return empty


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} samples/s")


def sample_progress() -> Progress:
    """A progress bar over samples, on stderr; silent if stderr is not a terminal."""
    console = stderr()
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
