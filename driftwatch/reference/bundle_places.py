"""Bundles behind a URL, or in MLflow: fetched to a folder of this machine to be read, and put there whole."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from driftwatch.errors import BundleError
from driftwatch.locations import Location, RemotePath
from driftwatch.reference.mlflow_client import SCHEMES, download

MANIFEST, FLOW, CALIBRATION, REPORT = "manifest.json", "flow.safetensors", "calibration.safetensors", "report.png"
FILES = (MANIFEST, FLOW, CALIBRATION, REPORT)


@contextmanager
def bundle_folder(place: Location) -> Iterator[Path]:
    """A bundle's folder on this machine, meanwhile: itself, or a copy of what is behind a URL.

    Raises:
        BundleError: the URL cannot be reached.
        UsageError: nothing is installed that could.
    """
    if isinstance(place, Path):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="driftwatch-bundle-") as folder:
        if place.scheme in SCHEMES:
            yield download(place, Path(folder))
        else:
            _fetch(place, Path(folder))
            yield Path(folder)


def _fetch(place: RemotePath, folder: Path) -> None:
    """Copies what is there of a bundle's files; what is missing is told when they are read."""
    for name in FILES:
        try:
            (place / name).download(folder / name)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BundleError(f"cannot be read: {error}", where=str(place)) from None


def is_left_over(files: Sequence[RemotePath]) -> bool:
    """Whether files are what a writing left that broke off, or none at all: a bundle's, but no manifest."""
    names = {file.name for file in files}
    return names <= set(FILES) - {MANIFEST}


def put_bundle(out: RemotePath, files: Mapping[str, bytes]) -> None:
    """Writes a bundle's files behind a URL, the manifest last: until it is there, so is no bundle.

    Args:
        out: the bundle's folder; what it holds of a bundle is replaced.
        files: contents by name.

    Raises:
        OSError: they cannot be written.
    """
    # A report that the new one has not would tell of the old one.
    for name in (MANIFEST, *(set(FILES) - {MANIFEST, *files})):
        (out / name).remove()
    for name in sorted(files, key=FILES.index, reverse=True):
        (out / name).write_bytes(files[name])
