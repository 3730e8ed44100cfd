"""``driftwatch train``: fit a reference to data."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Self

import typer

from driftwatch.cli.console import stderr, stdout, table
from driftwatch.cli.detected import show_findings

if TYPE_CHECKING:
    from driftwatch.reference.trained import Trained
    from driftwatch.reference.training import Told

PLAIN_EVERY_S = 10.0
ECHO_S = 1.0
"""A signal so soon after the first is its echo: torchrun passes on what the terminal has already sent."""


def train(
    config: Annotated[Path, typer.Argument(help="Training configuration, YAML.", show_default=False)],
    out: Annotated[
        str | None, typer.Option(help="Where to write the bundle, a path or URL; overrides the configuration.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew, even where there is a checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
) -> None:
    """Fit a flow, calibrate it on held-out data, and write a reference bundle with a report.

    Ctrl-C writes a checkpoint; the same command then goes on from there. With several GPUs, start it by torchrun:
    torchrun --nproc-per-node 4 -m driftwatch train CONFIG
    """
    from driftwatch.reference.processes import leave
    from driftwatch.reference.train import output_path, train
    from driftwatch.reference.train_config import load_train_config
    from driftwatch.reference.trained import Listener

    loaded = load_train_config(config)
    where = output_path(loaded, out)
    with _Bar() as bar, _stop_on_signals(bar) as stop:
        listener = Listener(bar.say, bar.tell, bar.doing)
        trained = train(loaded, where, stop, listener, fresh=fresh, overwrite=overwrite)
    if trained is None:
        leave()
    _show(trained)


class _Bar:
    """Shows a training: a bar where there is a terminal, else a line now and then."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
        from rich.table import Column

        console = stderr()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=16),
            TaskProgressColumn(),
            TextColumn("{task.fields[told]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=1.0, told="", visible=False)
        self._next = time.monotonic() + PLAIN_EVERY_S

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        """Prints a line that stays."""
        self._progress.console.print(line)

    def doing(self, what: str, share: float) -> None:
        """Shows what goes on beside training."""
        self._progress.update(self._task, description=what, completed=share, told="", visible=True)

    def tell(self, told: Told) -> None:
        """Shows a training step."""
        parts = [f"loss {told.loss:,.1f} nats", f"{told.bits_per_dim:.3f} bits/dim"]
        if not math.isnan(told.validation):
            parts.append(f"validation {told.validation:.3f}")
        parts.append(f"{told.samples_per_s:,.0f} samples/s")
        if not math.isnan(told.seconds_left):
            parts.append(f"{_clock(told.seconds_left)} left")
        text = ", ".join(parts)
        self._progress.update(self._task, description="training", completed=told.share, told=text, visible=True)
        if not self._progress.console.is_terminal and time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_EVERY_S
            self.say(f"step {told.step:,}, {told.share:.0%}: {text}")


@contextmanager
def _stop_on_signals(bar: _Bar) -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second ends the process at once."""
    stop = threading.Event()
    asked = 0.0

    def ask(_: int, __: FrameType | None) -> None:
        nonlocal asked
        if stop.is_set():
            if time.monotonic() - asked < ECHO_S:
                return
            raise KeyboardInterrupt
        asked = time.monotonic()
        stop.set()
        bar.say("stopping after this step; once more ends at once")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _show(trained: Trained) -> None:
    from driftwatch.data.corruptions import DESCRIBED

    console = stdout()
    rows = {
        "bundle": f"{trained.path} (version {trained.version})",
        "sample": trained.schema.describe(),
        "trained": f"{trained.fitted.steps:,} steps on {trained.rows:,} samples, {trained.fitted.seconds / 60:.1f} min",
        "bits/dim": f"{trained.bits_per_dim:.3f} on held-out samples",
        "report": str(trained.path / "report.png"),
    }
    for name, value in rows.items():
        console.print(f"{name:<10}{value}")
    console.print()
    windows = [f"n={size}" for size in sorted({row.window for row in trained.evaluations})]
    title = "AUROC on built-in shifts, % (combined detector)"
    made = table(title, "shift", *windows, "what it is", numeric=tuple(windows))
    for shift in dict.fromkeys(row.shift for row in trained.evaluations):
        found = {f"n={row.window}": row.auroc for row in trained.evaluations if row.shift == shift}
        made.add_row(shift, *(f"{100 * found[size]:.1f}" for size in windows), DESCRIBED[shift])
    console.print(made)
    show_findings(trained.detectable, trained.warnings, trained.remarks)
