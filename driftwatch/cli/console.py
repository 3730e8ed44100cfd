"""What the commands print: results to stdout, everything else to stderr, each error as one line."""

from __future__ import annotations

from typing import Literal

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

DATA_HELP = ".npz, .npy, .parquet, .csv (also .gz), IDX or a folder of images or tables; a path or URL."
OutputFormat = Literal["table", "json"]


def stdout() -> Console:
    """The console for results."""
    return Console(highlight=False, soft_wrap=True)


def stderr() -> Console:
    """The console for progress and remarks."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_error(error: DriftwatchError | str) -> None:
    """Print an error to stderr: one line, or one for each problem of a configuration file."""
    problems = error.problems if isinstance(error, ConfigErrors) else (error,)
    for problem in problems:
        typer.secho(f"driftwatch: error: {' '.join(str(problem).split())}", err=True)


def print_remark(remark: DriftwatchError | str) -> None:
    """Print a line to stderr that is no error."""
    typer.secho(f"driftwatch: {' '.join(str(remark).split())}", err=True)


def table(title: str, *columns: str, numeric: tuple[str, ...] = ()) -> Table:
    """An empty table; `numeric` columns are right-aligned."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in numeric else "left", overflow="fold")
    return made


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} samples/s")


def sample_progress() -> Progress:
    """A progress bar over samples, on stderr; silent where stderr is no terminal."""
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
