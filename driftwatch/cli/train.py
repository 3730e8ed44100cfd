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
from driftwatch.cli.detected import show_findings, show_wide

if TYPE_CHECKING:
    from driftwatch.reference.trained import Trained
    from driftwatch.reference.training import StepReport

PLAIN_EVERY_S = 10.0
ECHO_S = 1.0
"""A signal so soon after the first is a duplicate: torchrun forwards what the terminal has already sent."""


def train(
    config: Annotated[Path, typer.Argument(help="Training configuration, YAML.", show_default=False)],
    out: Annotated[
        str | None, typer.Option(help="Where to write the bundle, a path or URL; overrides the configuration.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over, ignoring a checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
) -> None:
    """Fit a flow, calibrate it on held-out data, and write a reference bundle with a report.

    Ctrl-C writes a checkpoint; the same command then continues from there. With several GPUs, start it by torchrun:
    torchrun --nproc-per-node 4 -m driftwatch train CONFIG
    """
    from driftwatch.reference.processes import leave
    from driftwatch.reference.train import output_path, train
    from driftwatch.reference.train_config import load_train_config
    from driftwatch.reference.trained import Listener

    loaded = load_train_config(config)
    where = output_path(loaded, out)
    with _Bar() as bar, _stop_on_signals(bar) as stop:
        listener = Listener(bar.say, bar.on_step, bar.doing)
        trained = train(loaded, where, stop, listener, fresh=fresh, overwrite=overwrite)
    if trained is None:
        leave()
    _show(trained)


class _Bar:
    """Shows the progress of a training: as a bar on a terminal, otherwise as a line now and then."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
        from rich.table import Column

        console = stderr()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=16),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=1.0, figures="", visible=False)
        self._next = time.monotonic() + PLAIN_EVERY_S

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._progress.console.print(line)

    def doing(self, what: str, share: float) -> None:
        """Show an activity beside training steps."""
        self._progress.update(self._task, description=what, completed=share, figures="", visible=True)
        self._say_now_and_then(f"{what}, {share:.0%}" if share else what)

    def on_step(self, report: StepReport) -> None:
        """Show a training step."""
        parts = [f"loss {report.loss:,.1f} nats", f"{report.bits_per_dim:.3f} bits/dim"]
        if not math.isnan(report.validation):
            parts.append(f"validation {report.validation:.3f}")
        parts.append(f"{report.samples_per_s:,.0f} samples/s")
        if not math.isnan(report.seconds_left):
            parts.append(f"{_clock(report.seconds_left)} left")
        text = ", ".join(parts)
        self._progress.update(self._task, description="training", completed=report.share, figures=text, visible=True)
        self._say_now_and_then(f"step {report.step:,}, {report.share:.0%}: {text}")

    def _say_now_and_then(self, line: str) -> None:
        if not self._progress.console.is_terminal and time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_EVERY_S
            self.say(line)


@contextmanager
def _stop_on_signals(bar: _Bar) -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second ends the process at once."""
    stop = threading.Event()
    first_s = 0.0

    def request(_: int, __: FrameType | None) -> None:
        nonlocal first_s
        if stop.is_set():
            if time.monotonic() - first_s < ECHO_S:
                return
            raise KeyboardInterrupt
        first_s = time.monotonic()
        stop.set()
        bar.say("stopping after this step; press again to end at once")

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
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
    shifts = table(title, "shift", *windows, "what it is", numeric=tuple(windows))
    for shift in dict.fromkeys(row.shift for row in trained.evaluations):
        found = {f"n={row.window}": row.auroc for row in trained.evaluations if row.shift == shift}
        shifts.add_row(shift, *(f"{100 * found[size]:.1f}" for size in windows), DESCRIBED[shift])
    console.print(shifts)
    show_findings(trained.detectable, trained.warnings, trained.remarks)
    show_wide(trained.schema)
