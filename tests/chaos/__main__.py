"""``make chaos``: faults against daemons on a real broker; the exit code says whether nothing came of them."""

from __future__ import annotations

import math
import shutil
import signal
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.broker import start_nodes
from tests.chaos.faults import FAULTS
from tests.chaos.fleet import PRESENT
from tests.chaos.intake import run_intake
from tests.chaos.replay import run_replay
from tests.chaos.report import report, report_intake, report_replay
from tests.chaos.run import WINDOWS, Struck, run_chaos
from tests.chaos.versions import code_of
from tests.synthetic import small_bundle, with_null

BESIDE = 10
"""Faults of the cluster's daemons, to which a replay and an intake, that have no broker, get one each."""

LONGEST_S = 8.0
"""Between the beginning of their work and a fault."""


def main(
    faults: Annotated[int, typer.Option(min=1, help="How many.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of faults and samples.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, max=5, help="Of Apache Kafka; of several, one at a time is lost.")] = 3,
    before: Annotated[
        str, typer.Option(help="A commit whose version daemons begin with, are upgraded from and rolled back to.")
    ] = "",
    minutes: Annotated[float, typer.Option(min=0, help="After which there is no further fault.")] = math.inf,
    kinds: Annotated[str, typer.Option(help="Of the faults, in turn, with commas between; drawn if none.")] = "",
) -> None:
    """Strikes daemons with faults, and compares what they have committed with what one process comes to."""
    # Broker and daemons are to end with this process, however it is told to.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    stated = kinds.split(",") if kinds else [None]
    if strange := ", ".join(kind for kind in stated if kind and kind not in FAULTS):
        raise typer.BadParameter(f"{strange}: there are {', '.join(FAULTS)}", param_hint="--kinds")

    console.print(f"{faults} faults, seed {seed}, {nodes} nodes of Apache Kafka")

    def tell(struck: Struck) -> None:
        console.print(
            f"{struck.kind}: " + (f"{struck.recovery_s:.1f} s" if struck.recovery_s is not None else "not survived")
        )

    folder = Path(tempfile.mkdtemp(prefix="driftwatch-chaos-"))
    plain = [small_bundle(folder, windows=(20, 100)), small_bundle(folder, "other", seed=7)]
    (folder / "bundles").mkdir()
    # Daemons are started hundreds of times: the null of their windows, by time and without, is in the bundles.
    bundles = [with_null(each, folder / "bundles", *WINDOWS) for each in plain]
    versions = [code_of(before, folder), PRESENT] if before else [PRESENT]
    with start_nodes(nodes) as brokers:
        outcome = run_chaos(
            brokers,
            bundles,
            folder,
            faults=list(islice(cycle(stated), faults)),
            seed=seed,
            limit_s=60 * minutes,
            versions=versions,
            tell=tell,
        )
    console.print(report(outcome))
    beside = [None] * (-(-len(outcome.struck) // BESIDE))
    replayed = run_replay(bundles[0], folder, faults=beside, seed=seed, longest_s=LONGEST_S)
    console.print(report_replay(replayed))
    taken_in = run_intake(bundles[0], folder, faults=beside, seed=seed, longest_s=LONGEST_S)
    console.print(report_intake(taken_in))
    if not (outcome.exact and replayed.exact and taken_in.kept):
        again = f"make chaos FAULTS={faults} SEED={seed} NODES={nodes}"
        again += (f" BEFORE={before}" if before else "") + (f" KINDS='{kinds}'" if kinds else "")
        console.print(f"[bold red]not exact[/]; to see it again: {again}")
        console.print(f"configurations, logs and states are in {folder}")
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(main)
