"""``python -m benchmarks.detection``: one command for all figures, with peers measured on the same windows.

``--quick`` needs only the project's own environment and takes about a minute; ``make bench-detection`` sets up a second
environment that includes the peers.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.detection.material import Material
from benchmarks.detection.peers import installed
from benchmarks.detection.references import scorer_for
from benchmarks.detection.report import About, write_report
from benchmarks.detection.run import Contest, Costs, Extent
from benchmarks.detection.summary import write_summary
from driftwatch.errors import DataError
from driftwatch.reference.scoring import Scorer

RESULTS = Path(__file__).parent / "results"
DELAY = "delay"
FULL, QUICK = Extent(), Extent(windows=200, samples=1_000, known=500)


def materials(extent: Extent, *, quick: bool) -> Mapping[str, Callable[[], Material]]:
    """A factory for each part; only the requested parts are built."""
    from benchmarks.detection import colour, embeddings, fashion, tables, texts, waves

    wanted = (extent.samples, extent.seed)
    if quick:
        return {
            "handwriting": partial(tables.handwriting, *wanted, steps=150),
            "waves": partial(waves.waves_of, *wanted),
        }
    return {
        "fashion": partial(fashion.fashion, *wanted),
        "flights": partial(tables.flights, *wanted),
        "handwriting": partial(tables.handwriting, *wanted),
        "embeddings": partial(embeddings.embeddings, *wanted),
        "texts": partial(texts.texts, *wanted),
        "colour": partial(colour.colour, *wanted),
    }


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Small data and few windows: about a minute.")] = False,
    out: Annotated[Path, typer.Option(help="Where to write the report.")] = RESULTS,
    only: Annotated[str, typer.Option(help="Parts to measure, separated by commas; all if empty.")] = "",
    bundle: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="A trained reference; otherwise one is trained.")
    ] = None,
    bundles: Annotated[Path, typer.Option(help="Folder in which trained references are kept.")] = Path("out/detection"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random draws.")] = 0,
    shift: Annotated[str, typer.Option(help="The only shift to measure; all if empty.")] = "",
    peer_windows: Annotated[
        int | None, typer.Option(min=1, help="Windows per side for every peer; by default as many as its cost allows.")
    ] = None,
) -> None:
    """Measure detection beside peers, and write tables and plots."""
    torch.set_num_threads(1)
    extent = replace(QUICK if quick else FULL, seed=seed, shift=shift, peer_windows=peer_windows)
    makers = materials(extent, quick=quick)
    parts = [*makers, *([] if quick else [DELAY])]
    wanted = [name for name in only.split(",") if name] or parts
    if unknown := [name for name in wanted if name not in parts]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(parts)}", param_hint="--only")
    given = {name: Path(path) for name, _, path in (text.partition("=") for text in bundle or [])}
    folder = bundles / ("quick" if quick else "full")
    out.mkdir(parents=True, exist_ok=True)
    command = f"python -m benchmarks.detection {shlex.join(sys.argv[1:])}".strip()
    for name in wanted:
        print(f"{name}: preparing", flush=True)
        try:
            material = makers["fashion" if name == DELAY else name]()
        except DataError as error:
            print(f"  left out: {error}", flush=True)
            continue
        scorer = scorer_for(material, given.get(material.name), folder, seed)
        if name == DELAY:
            from benchmarks.detection.delay import measure as measure_delay

            measure_delay(scorer, out, command, samples=extent.samples, seed=seed)
        else:
            measure(material, scorer, extent, out, command)
        write_summary(out)
    print(f"wrote to {out}")


def measure(material: Material, scorer: Scorer, extent: Extent, out: Path, command: str) -> None:
    """Measure one material and write its report."""
    from benchmarks.detection.plots import draw_plots

    started, costs = time.monotonic(), Costs()
    rows = []
    for row in Contest(material, scorer, extent, costs).rows():
        rows.append(row)
        if row.contender == "combined":
            print(f"  {row.shift}, n={row.window}: combined {100 * row.auroc:.1f}", flush=True)
    about = About(
        command=command,
        material=material.name,
        what=material.description,
        bundle=scorer.reference.version,
        extent=extent,
        packages=installed(),
        milliseconds=costs.milliseconds(),
        agreement=costs.agreement,
        minutes=(time.monotonic() - started) / 60,
    )
    write_report(out, rows, about, draw_plots(out, rows))


if __name__ == "__main__":
    typer.run(main)
