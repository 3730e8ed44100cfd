"""``driftwatch recalibrate``: a new null for a bundle, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftwatch.cli.console import stderr, stdout
from driftwatch.cli.detected import show_findings

if TYPE_CHECKING:
    from driftwatch.config import WindowsConfig
    from driftwatch.locations import Location
    from driftwatch.reference.bundle import Bundle


def recalibrate(
    bundle: Annotated[str, typer.Argument(help="Reference bundle, a path or URL.", show_default=False)],
    data: Annotated[
        str | None,
        typer.Argument(help="Data that is normal now, and was not trained on.", show_default=False),
    ] = None,
    *,
    out: Annotated[str, typer.Option(help="The new bundle, a path or URL.", show_default=False)],
    config: Annotated[
        Path | None,
        typer.Option("--for", metavar="CONFIG", help="Store the null of this daemon configuration's windows, too."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
    ordered: Annotated[
        bool,
        typer.Option(
            "--ordered", help="The data is a stretch of the stream in its order: samples in a row may be alike."
        ),
    ] = False,
    samples: Annotated[
        int, typer.Option(min=600, help="The most samples to use: spread over the data, with --ordered its first.")
    ] = 20_000,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Renew a bundle's null distributions from new data; the flow stays as it is.

    Without DATA, --for only adds the null of a daemon's windows, which the daemon would otherwise simulate at each
    start.
    """
    from driftwatch.config import load_config
    from driftwatch.errors import UsageError
    from driftwatch.locations import locate
    from driftwatch.reference.bundle import load_bundle, refuse_existing, require_place
    from driftwatch.reference.device import choose_device
    from driftwatch.reference.recalibration import add_null

    windows = None if config is None else load_config(config).windows
    if data is None and (windows is None or ordered):
        remedy = "name data that is normal now, or give --for CONFIG alone, which adds the null of its windows"
        raise UsageError("there is no data", where="recalibrate", remedy=remedy)
    place = locate(out)
    refuse_existing(place, overwrite=overwrite)
    require_place(place)
    loaded = load_bundle(bundle, choose_device(device))
    if data is not None:
        _renew(loaded, data, place, windows, samples=samples, ordered=ordered, overwrite=overwrite)
    elif windows is not None:
        with stderr().status("simulating windows"):
            version = add_null(loaded, windows, place, overwrite=overwrite)
        sizes = ", ".join(map(str, windows.sizes))
        stdout().print(f"{place} (version {version}), {loaded.version} with the null of windows of {sizes}")


def _renew(
    loaded: Bundle,
    data: str,
    place: Location,
    windows: WindowsConfig | None,
    *,
    samples: int,
    ordered: bool,
    overwrite: bool,
) -> None:
    from driftwatch.data.readers import open_dataset
    from driftwatch.reference.recalibration import recalibrate as renew

    dataset = open_dataset(data)
    with stderr().status("calibrating") as status:
        rows = None
        if ordered:
            found = next(dataset.chunks(loaded.schema, rows=min(samples, dataset.rows)))
        else:
            rows, found = dataset.spread(loaded.schema, samples)
        done = renew(
            loaded,
            found,
            place,
            where=str(dataset.path),
            rows=rows,
            doing=lambda what, _: status.update(what),
            ordered=ordered,
            windows=windows,
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
