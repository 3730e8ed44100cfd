"""Bundles at a URL or in MLflow: fetched to a local folder for reading, and uploaded completely."""

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
    """A local folder with a bundle: the bundle itself, or a temporary copy of what is at a URL.

    Raises:
        BundleError: the URL cannot be reached.
        UsageError: the library for this kind of URL is not installed.
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
    """Copy the existing files of a bundle; missing ones are reported when the bundle is read."""
    for name in FILES:
        try:
            (place / name).download(folder / name)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BundleError(f"cannot be read: {error}", where=str(place)) from None


def is_left_over(files: Sequence[RemotePath]) -> bool:
    """Whether files are the remains of an interrupted upload, or none at all: a bundle's files without a manifest."""
    names = {file.name for file in files}
    return names <= set(FILES) - {MANIFEST}


def put_bundle(out: RemotePath, files: Mapping[str, bytes]) -> None:
    """Upload a bundle's files to a URL, the manifest last: there is no bundle until it is there.

    Args:
        out: the bundle's folder; files of an earlier bundle there are replaced.
        files: contents by name.

    Raises:
        OSError: they cannot be written.
    """
    # If the new bundle has no report, the old one's must not remain.
    for name in (MANIFEST, *(set(FILES) - {MANIFEST, *files})):
        (out / name).remove()
    for name in sorted(files, key=FILES.index, reverse=True):
        (out / name).write_bytes(files[name])
