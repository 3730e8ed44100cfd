"""``make chaos``: faults against daemons on a real broker; the exit code says whether they changed anything."""

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

CLUSTER_FAULTS_PER_FAULT = 10
"""For so many faults of the cluster's daemons, a replay and an intake, which have no broker, get one each."""

LONGEST_DELAY_S = 8.0
"""The longest time between the start of their work and a fault."""


def main(
    faults: Annotated[int, typer.Option(min=1, help="Number of faults.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of faults and samples.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, max=5, help="Kafka nodes; of several, one at a time is lost.")] = 3,
    before: Annotated[
        str, typer.Option(help="A commit whose version daemons start with, are upgraded from and rolled back to.")
    ] = "",
    minutes: Annotated[float, typer.Option(min=0, help="Minutes after which no fault is started.")] = math.inf,
    kinds: Annotated[str, typer.Option(help="Kinds of faults, used in turn, comma-separated; drawn if empty.")] = "",
) -> None:
    """Strike daemons with faults, and compare what they committed with what one undisturbed process computes."""
    # Broker and daemons must end with this process, also if it is terminated.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    kinds_in_turn = kinds.split(",") if kinds else [None]
    if unknown := ", ".join(kind for kind in kinds_in_turn if kind and kind not in FAULTS):
        raise typer.BadParameter(f"unknown: {unknown}; choose from {', '.join(FAULTS)}", param_hint="--kinds")

    console.print(f"{faults} faults, seed {seed}, {nodes} nodes of Apache Kafka")

    def print_fault(struck: Struck) -> None:
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
            faults=list(islice(cycle(kinds_in_turn), faults)),
            seed=seed,
            limit_s=60 * minutes,
            versions=versions,
            on_fault=print_fault,
        )
    console.print(report(outcome))
    brokerless_faults = [None] * (-(-len(outcome.struck) // CLUSTER_FAULTS_PER_FAULT))
    replayed = run_replay(bundles[0], folder, faults=brokerless_faults, seed=seed, longest_delay_s=LONGEST_DELAY_S)
    console.print(report_replay(replayed))
    intake = run_intake(bundles[0], folder, faults=brokerless_faults, seed=seed, longest_delay_s=LONGEST_DELAY_S)
    console.print(report_intake(intake))
    if not (outcome.exact and replayed.exact and intake.kept):
        again = f"make chaos FAULTS={faults} SEED={seed} NODES={nodes}"
        again += (f" BEFORE={before}" if before else "") + (f" KINDS='{kinds}'" if kinds else "")
        console.print(f"[bold red]not exact[/]; to reproduce: {again}")
        console.print(f"configurations, logs and states are in {folder}")
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(main)
