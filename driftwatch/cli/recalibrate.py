"""``driftwatch recalibrate``: a new null for a bundle, without training."""

from __future__ import annotations

from typing import Annotated

import typer

from driftwatch.cli.console import stderr, stdout
from driftwatch.cli.detected import show_findings


def recalibrate(
    bundle: Annotated[str, typer.Argument(help="Reference bundle, a path or URL.", show_default=False)],
    data: Annotated[str, typer.Argument(help="Data that is normal now, and was not trained on.", show_default=False)],
    out: Annotated[str, typer.Option(help="The new bundle, a path or URL.", show_default=False)],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
    ordered: Annotated[
        bool,
        typer.Option(
            "--ordered", help="The data is a stretch of the stream in its order: samples in a row may be alike."
        ),
    ] = False,
    samples: Annotated[int, typer.Option(min=600, help="The most samples to use.")] = 20_000,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Renew a bundle's null distributions from new data; the flow stays as it is."""
    from driftwatch.data.readers import open_dataset
    from driftwatch.locations import locate
    from driftwatch.reference.bundle import load_bundle, refuse_existing, require_place
    from driftwatch.reference.device import choose_device
    from driftwatch.reference.recalibration import recalibrate as renew

    place = locate(out)
    refuse_existing(place, overwrite=overwrite)
    require_place(place)
    loaded = load_bundle(bundle, choose_device(device))
    dataset = open_dataset(data)
    with stderr().status("calibrating") as status:
        found = next(dataset.chunks(loaded.schema, rows=min(samples, dataset.rows)))
        done = renew(
            loaded,
            found,
            place,
            where=str(dataset.path),
            doing=lambda what, _: status.update(what),
            ordered=ordered,
            overwrite=overwrite,
        )
    console = stdout()
    console.print(f"{place} (version {done.version}), the flow of {loaded.version} on {len(found):,} samples")
    if ordered:
        tau = done.memory.tau
        console.print(
            f"the stream remembers {tau:,.0f} samples: {len(found):,} are worth {len(found) / tau:,.0f} independent"
            if tau > 1
            else "no memory was found: consecutive samples are independent",
        )
    show_findings(done.detectable, done.warnings, done.remarks)
