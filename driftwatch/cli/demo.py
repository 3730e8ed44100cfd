"""``driftwatch demo``: train, detect and resolve a drift, with nothing installed but Python."""

from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftwatch.cli.console import stdout
from driftwatch.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from driftwatch.demo.record import Chronicle
    from driftwatch.demo.story import Outcome
    from driftwatch.reference.training import StepReport
    from driftwatch.stream.alert import Alert

BLOCKS = " ▁▂▃▄▅▆▇█"
DEEPEST = 12.0
SPARKS = 60
MARKER = ".driftwatch-demo"


def demo(
    out: Annotated[Path, typer.Option(help="Folder for what the demo makes; an earlier demo's is replaced.")] = Path(
        "driftwatch-demo"
    ),
    stay: Annotated[
        bool | None,
        typer.Option("--stay/--exit", help="Go on serving until Ctrl-C.  [default: on a terminal]", show_default=False),
    ] = None,
) -> None:
    """Train a small reference, replay a stream with a drift in it, and watch the alert fire and resolve."""
    _clear(out)
    from driftwatch.demo.plot import write_plot
    from driftwatch.demo.story import ANEW, train_camera, watch_camera
    from driftwatch.logs import configure_logging
    from driftwatch.reference.checkpoint import Interrupted
    from driftwatch.running import stop_on_signals

    configure_logging("error", "auto")
    console = stdout()
    console.print(
        "[bold]driftwatch demo[/]: a camera watches a wall; for a while its lens goes out of focus\n", markup=True
    )
    console.print("[bold]1. Train[/] a reference on 12,000 sharp images (16x16, generated)", markup=True)
    with stop_on_signals() as stop:
        try:
            with _Screen(console) as screen:
                train_camera(out, stop, screen.narrator())
        except Interrupted as stopped:
            raise Interrupted("stopped", remedy=ANEW) from stopped
        console.print(
            "\n[bold]2. Watch[/] a stream of 6,000 images; windows of 50 and 200, a false alarm in 1e6 samples",
            markup=True,
        )
        screen = _Screen(console)
        with screen, watch_camera(out, stop, screen.narrator()) as outcome:
            screen.close()
            write_plot(out / "demo.png", outcome.chronicle, outcome.drift)
            _conclude(console, outcome, out)
            if stay if stay is not None else sys.stdout.isatty():
                console.print("Serving until Ctrl-C.")
                stop.wait()


class _Screen:
    """Shows progress in a live line at the bottom of a terminal, otherwise as a line now and then."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._console = console
        self._live: Live | None = (
            Live(console=console, refresh_per_second=10, transient=True) if console.is_terminal else None
        )
        self._next = 0

    def __enter__(self) -> _Screen:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._live:
            self._live.stop()

    def narrator(self) -> Narrator:
        from driftwatch.demo.story import Narrator

        return Narrator(say=self._say, training=self._training, alert=self._alert, watching=self._watching)

    def _say(self, line: str) -> None:
        self._console.print(f"   {line}")

    def _training(self, report: StepReport) -> None:
        text = f"{report.share:4.0%}  step {report.step:,}, {report.bits_per_dim:.3f} bits/dim"
        self._line(f"   {_bar(report.share)} {text}", report.step, 300)

    def _alert(self, alert: Alert, sample: int) -> None:
        firing = alert.state == "firing"
        colour = "bold red" if firing else "bold green"
        self._console.print(
            f"   [{colour}]{alert.state.upper()}[/] at sample {sample:,}: {alert.severity}, "
            f"p = {alert.p_value:.1g}, effect {alert.effect.nats:.2f} nats/sample (windows of {alert.window.size})",
            markup=True,
        )
        if firing:
            self._console.print(f"            {alert.explanation}")

    def _watching(self, chronicle: Chronicle) -> None:
        if not chronicle.windows:
            return
        tested = chronicle.windows[min(chronicle.windows)]
        sparks = "".join(_spark(each.p_value) for each in tested[-SPARKS:]).rjust(SPARKS)
        state = "[bold red]DRIFT[/]" if chronicle.firing else "[green]  ok [/]"
        self._line(
            f"   {state} {chronicle.samples:5,} samples  p {tested[-1].p_value:8.1e}  -log p {sparks}",
            chronicle.samples,
            1_000,
        )

    def _line(self, text: str, number: int, every: int) -> None:
        from rich.text import Text

        if self._live:
            self._live.update(Text.from_markup(text))
        elif number >= self._next:
            self._next = number - number % every + every
            self._console.print(text, markup=True)


if TYPE_CHECKING:
    from driftwatch.demo.story import Narrator


def _clear(out: Path) -> None:
    """Remove the files of an earlier demo, and nothing else."""
    if out.exists() and not (out / MARKER).is_file():
        if not out.is_dir() or any(out.iterdir()):
            raise UsageError("exists, and was not made by a demo", where=str(out), remedy="choose another --out")
    elif out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()


def _conclude(console: Console, outcome: Outcome, out: Path) -> None:
    began, ended = outcome.drift
    alerts = outcome.chronicle.alerts
    fired = [sample for alert, sample in alerts if alert.state == "firing" and began <= sample]
    resolved = [sample for alert, sample in alerts if alert.state == "resolved" and sample >= ended]
    false = sum(1 for alert, sample in alerts if alert.state == "firing" and sample <= began)
    tested = outcome.chronicle.windows[min(outcome.chronicle.windows)]
    before = [-each.nll for each in tested if each.sample <= began]
    during = [-each.nll for each in tested if began + 50 <= each.sample <= ended]
    console.print("\n[bold]3. What happened[/]", markup=True)
    if fired:
        console.print(f"   The alert fired {fired[0] - began} samples after the lens went out of focus")
    if resolved:
        console.print(f"   and was resolved {resolved[0] - ended} samples after it was in focus again;")
    console.print(f"   false alarms before: {false}.")
    if before and during:
        change = sum(during) / len(during) - sum(before) / len(before)
        console.print(
            f"   Meanwhile the mean log-likelihood {'rose' if change > 0 else 'fell'} by {abs(change):.1f} nats: "
            + ("a likelihood monitor sees nothing wrong." if change > 0 else "a likelihood monitor could see it too.")
        )
    console.print(f"   Picture: {out / 'demo.png'}   reference: {out / 'reference'}")


def _spark(p_value: float) -> str:
    depth = min(1.0, -math.log10(max(p_value, 1e-300)) / DEEPEST)
    return BLOCKS[round(depth * (len(BLOCKS) - 1))]


def _bar(share: float) -> str:
    done = round(30 * share)
    return "━" * done + "╌" * (30 - done)
