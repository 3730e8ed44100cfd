"""``make chaos``: faults against daemons on a real broker; the exit code says whether nothing came of them."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.broker import start_nodes
from tests.chaos.report import report
from tests.chaos.run import Struck, run_chaos
from tests.synthetic import small_bundle


def main(
    faults: Annotated[int, typer.Option(min=1, help="How many.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of faults and samples.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, max=5, help="Of Apache Kafka; of several, one at a time is lost.")] = 3,
) -> None:
    """Strikes daemons with faults, and compares what they have committed with what one process comes to."""
    # Broker and daemons are to end with this process, however it is told to.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()

    console.print(f"{faults} faults, seed {seed}, {nodes} nodes of Apache Kafka")

    def tell(struck: Struck) -> None:
        console.print(
            f"{struck.kind}: " + (f"{struck.recovery_s:.1f} s" if struck.recovery_s is not None else "not survived")
        )

    with tempfile.TemporaryDirectory(prefix="driftwatch-chaos-") as folder, start_nodes(nodes) as brokers:
        bundle = small_bundle(Path(folder))
        outcome = run_chaos(brokers, bundle, Path(folder), faults=[None] * faults, seed=seed, tell=tell)
    console.print(report(outcome))
    if not outcome.exact:
        console.print(f"[bold red]not exact[/]; to see it again: make chaos FAULTS={faults} SEED={seed} NODES={nodes}")
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
