"""``python -m benchmarks.detection``: one command for every figure, with peers on the same windows.

``--quick`` needs the project's own environment only and takes about a minute; ``make bench-detection`` sets up another
one, with the peers.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.detection.material import Material
from benchmarks.detection.peers import installed
from benchmarks.detection.references import scorer_for
from benchmarks.detection.report import Told, write_json, write_markdown
from benchmarks.detection.run import Contest, Costs, Extent, Row
from driftwatch.errors import DataError

RESULTS = Path(__file__).parent / "results"
DELAY = "delay"
FULL, QUICK = Extent(), Extent(windows=200, samples=1_000, known=500)


def materials(extent: Extent, *, quick: bool) -> Mapping[str, Callable[[], Material]]:
    """How each part is made; only those that are asked for are."""
    from benchmarks.detection import colour, embeddings, fashion, tables, waves

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
        "colour": partial(colour.colour, *wanted),
    }


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Small data and few windows: about a minute.")] = False,
    out: Annotated[Path, typer.Option(help="Where to write the report.")] = RESULTS,
    only: Annotated[str, typer.Option(help="Parts, separated by commas; all if empty.")] = "",
    bundle: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="A trained reference; else one is trained.")
    ] = None,
    bundles: Annotated[Path, typer.Option(help="Where trained references are kept.")] = Path("out/detection"),
    seed: Annotated[int, typer.Option(min=0, help="Of all draws.")] = 0,
) -> None:
    """Measure detection beside peers, and write tables and plots."""
    from benchmarks.detection.plots import draw_plots

    torch.set_num_threads(1)
    started = time.monotonic()
    measure = QUICK if quick else FULL
    extent = Extent(measure.windows, measure.samples, measure.known, seed)
    makers = materials(extent, quick=quick)
    parts = [*makers, *([] if quick else [DELAY])]
    wanted = [name for name in only.split(",") if name] or parts
    if unknown := [name for name in wanted if name not in parts]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(parts)}", param_hint="--only")
    given = {name: Path(path) for name, _, path in (text.partition("=") for text in bundle or [])}
    folder = bundles / ("quick" if quick else "full")
    out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    told, left_out, milliseconds = dict[str, str](), dict[str, str](), dict[str, Mapping[str, float]]()
    agreements = []
    for name in wanted:
        if name == DELAY:
            continue
        print(f"{name}: preparing", flush=True)
        try:
            material = makers[name]()
        except DataError as error:
            left_out[name] = str(error)
            continue
        scorer, costs = scorer_for(material, given.get(name), folder, seed), Costs()
        told[name] = f"{material.told}; bundle {scorer.reference.version}"
        for row in Contest(material, scorer, extent, costs).rows():
            rows.append(row)
            if row.contender == "combined":
                print(f"  {row.shift}, n={row.window}: combined {100 * row.auroc:.1f}", flush=True)
        milliseconds[name] = costs.milliseconds()
        agreements += [costs.agreement] if costs.agreement is not None else []
    command = f"python -m benchmarks.detection {shlex.join(sys.argv[1:])}".strip()
    report = Told(
        command=command,
        extent=extent,
        packages=installed(),
        materials=told,
        left_out=left_out,
        milliseconds=milliseconds,
        agreement=max(agreements, default=None),
        minutes=(time.monotonic() - started) / 60,
    )
    if rows:
        write_json(out / "detection.json", rows, report)
        write_markdown(out / "detection.md", rows, report, draw_plots(out, rows))
    if DELAY in wanted:
        from benchmarks.detection.delay import measure as measure_delay

        scorer = scorer_for(makers["fashion"](), given.get("fashion"), folder, seed)
        measure_delay(scorer, out, command, samples=extent.samples, seed=seed)
    print(f"wrote {out}")


if __name__ == "__main__":
    typer.run(main)
