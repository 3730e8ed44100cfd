"""Bundles: a reference as a folder, written completely or not at all, verified when read, and never unpickled."""

from __future__ import annotations

import hashlib
import platform
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from driftwatch import __version__
from driftwatch.data.schema import Schema, TableSchema, parse_schema
from driftwatch.errors import BundleError, DataError
from driftwatch.flows.base import Flow
from driftwatch.flows.build import build_flow, require_weights
from driftwatch.locations import Location, RemotePath, locate, try_folder
from driftwatch.reference.bundle_places import (
    CALIBRATION,
    FILES,
    FLOW,
    MANIFEST,
    REPORT,
    bundle_folder,
    is_left_over,
    put_bundle,
)
from driftwatch.reference.description import LOCATED
from driftwatch.reference.folders import write_folder
from driftwatch.reference.mlflow_client import SCHEMES

FORMAT_VERSION = 6
GATHERED_VERSION, PLAIN_VERSION = 5, 4
"""Versions of bundles that are not of long vectors, with gathered categories and without, so that older versions of
driftwatch can read these."""

OLDEST_VERSION = 3
"""Version 3 does not store the edges of columns' bins, which were at equal shares."""

VERSION_LENGTH = 12
WRITTEN = ("format_version", "version", "schema", "architecture", "name", "created_by", "files", "checksum")
"""Entries of a manifest that follow from what is written."""

MAX_MANIFEST_BYTES = 16 << 20
DAMAGED = "copy the bundle again, or train the reference again"


@dataclass(frozen=True)
class Bundle:
    """The contents of a bundle.

    Args:
        path: its folder or URL.
        name: of the reference, from the training configuration.
        version: a digest of the contents, so equal contents have equal versions.
        schema: of one sample.
        flow: in evaluation mode, on its device.
        calibration: named arrays.
        manifest: the full manifest.
        report: a PNG, if there is one.
    """

    path: Location
    name: str
    version: str
    schema: Schema
    flow: Flow
    calibration: Mapping[str, NDArray[Any]]
    manifest: Mapping[str, Any]
    report: bytes | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """The entries of the manifest that `write_bundle` was given."""
        return {name: value for name, value in self.manifest.items() if name not in WRITTEN}


def write_bundle(
    out: Location,
    *,
    name: str,
    schema: Schema,
    flow: Flow,
    calibration: Mapping[str, NDArray[Any]],
    facts: Mapping[str, Any],
    report: bytes | None = None,
    overwrite: bool = False,
) -> str:
    """Write a bundle, which appears under its name only when it is complete.

    Args:
        out: the folder or URL; it must not exist or must be empty.
        name: of the reference.
        schema: of one sample.
        flow: fitted.
        calibration: named arrays.
        facts: further entries of the manifest, such as training data and metrics.
        report: a PNG.
        overwrite: replace a bundle at `out`.

    Returns:
        The bundle's version.

    Raises:
        BundleError: the folder exists or cannot be written; a partly written one is removed.
    """
    refuse_existing(out, overwrite=overwrite)
    state = {key: value.detach().cpu().contiguous() for key, value in flow.state_dict().items()}
    files = {FLOW: save_tensors(state), CALIBRATION: save_arrays({k: _contiguous(v) for k, v in calibration.items()})}
    if report is not None:
        files[REPORT] = report
    checksums = {file: {"sha256": _sha256(content), "bytes": len(content)} for file, content in files.items()}
    described = {"schema": schema.model_dump(mode="json"), "architecture": flow.architecture(), "name": name}
    version = _version(described, checksums)
    manifest: dict[str, Any] = {
        "format_version": _least_version(schema, calibration),
        "version": version,
        **described,
        "created_by": {
            "driftwatch": __version__,
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        **facts,
        "files": checksums,
    }
    manifest["checksum"] = _checksum(manifest)
    files[MANIFEST] = orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    try:
        if isinstance(out, RemotePath):
            put_bundle(out, files)
            load_bundle(out)
        else:
            write_folder(out, files, check=load_bundle, replace=overwrite)
    except OSError as error:
        size = sum(map(len, files.values()))
        left = "an incomplete bundle there is ignored" if isinstance(out, RemotePath) else "nothing is left behind"
        raise BundleError(
            f"cannot be written: {error.strerror or error}",
            where=str(out),
            remedy=f"it needs {size / 1e6:.1f} MB there; {left}",
        ) from error
    return version


def refuse_existing(out: Location, *, overwrite: bool = False) -> None:
    """Refuse to write to an existing place: bundles never change once they are written.

    Args:
        out: where a bundle is to be written.
        overwrite: allow a bundle there, which is to be replaced; anything else is still refused.

    Raises:
        BundleError: the place is taken, or cannot be written to at all.
    """
    if isinstance(out, RemotePath) and out.scheme in SCHEMES:
        remedy = "write it to a folder, and let output.mlflow of a training log it there"
        raise BundleError("bundles cannot be written to an MLflow address", where=str(out), remedy=remedy)
    if not _holds_something(out):
        return
    if not overwrite:
        raise BundleError(
            "exists already",
            where=str(out),
            remedy="bundles never change: choose another name, remove it, or pass --overwrite (overwrite=True)",
        )
    if not (out / MANIFEST).exists():
        raise BundleError("is no bundle, and is not overwritten", where=str(out), remedy="choose another name")


def require_place(out: Location) -> None:
    """Check, before the work begins, that a bundle can be written to a folder.

    Raises:
        BundleError: its parent folder is not writable. `refuse_existing` checks URLs.
    """
    if not isinstance(out, Path):
        return
    try:
        try_folder(out.parent)
    except OSError as error:
        raise BundleError(
            f"cannot be written: {error.strerror}",
            where=str(out),
            remedy=f"check {error.filename}, or choose another place",
        ) from None


def _holds_something(out: Location) -> bool:
    if isinstance(out, Path):
        # Renaming a folder can replace an empty folder, but never a link, whatever it points to.
        return out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir())))
    try:
        out.require_bucket()
        return not is_left_over(out.below())
    except OSError as error:
        raise BundleError(f"cannot be written: {error}", where=str(out), remedy="check the URL") from None


def load_bundle(path: str | Location, device: str = "cpu") -> Bundle:
    """Read and verify a bundle from a folder or a URL.

    Raises:
        BundleError: it is missing, damaged, or of another format version.
    """
    place = locate(path)
    with bundle_folder(place) as folder:
        return _load(folder, place, device)


def peek_version(place: Location) -> str:
    """The version of the bundle at a place, read from its manifest without verifying anything.

    Raises:
        BundleError: there is no bundle, or it cannot be read.
    """
    file = place / MANIFEST
    try:
        _require_file(file)
        with file.open("rb") as opened:
            return str(orjson.loads(opened.read(MAX_MANIFEST_BYTES))["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"cannot be read: {error}", where=str(file), remedy=DAMAGED) from None


def bundle_beside(place: Location, version: str) -> Path | None:
    """The bundle of a version in a folder next to a place, or next to the target of its link; None if not found."""
    if not isinstance(place, Path):
        return None
    for parent in dict.fromkeys((place.parent, place.resolve().parent)):
        for manifest in sorted(parent.glob(f"*/{MANIFEST}")):
            with suppress(BundleError):
                if peek_version(manifest.parent) == version:
                    return manifest.parent
    return None


def _load(folder: Path, path: Location, device: str) -> Bundle:
    """Load a bundle from a local folder, which is `path` itself or a copy of it."""
    manifest = _manifest(folder, path)
    try:
        if manifest["checksum"] != _checksum(manifest):
            raise BundleError("its manifest was changed after it was written", where=str(path), remedy=DAMAGED)
        described = {key: manifest[key] for key in ("schema", "architecture", "name")}
        if manifest["version"] != _version(described, manifest["files"]):
            raise BundleError("its version does not match its contents", where=str(path), remedy=DAMAGED)
        contents = {file: _verified(folder, path, file, stated) for file, stated in manifest["files"].items()}
        schema = parse_schema(manifest["schema"], where=f"{path}: schema")
        weights = load_tensors(contents[FLOW])
        require_weights(manifest["architecture"], weights)
        if broken := [name for name, each in weights.items() if bool(torch.isnan(each).any())]:
            raise BundleError(f"{broken[0]} contains weights that are not numbers", where=str(path), remedy=DAMAGED)
        flow = build_flow(manifest["architecture"])
        flow.load_state_dict(weights)
        calibration = load_arrays(contents[CALIBRATION])
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError, MemoryError, SafetensorError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"is inconsistent: {error}"
        raise BundleError(what, where=str(path), remedy=DAMAGED) from None
    except DataError as error:
        raise BundleError(error.what, where=error.where, remedy=DAMAGED) from None
    flow.to(device).eval().requires_grad_(requires_grad=False)
    name, version, report = str(manifest["name"]), str(manifest["version"]), contents.get(REPORT)
    return Bundle(path, name, version, schema, flow, calibration, manifest, report)


def _manifest(folder: Path, path: Location) -> dict[str, Any]:
    file = folder / MANIFEST
    try:
        _require_file(file)
        if file.stat().st_size > MAX_MANIFEST_BYTES:
            raise BundleError("is too large for a manifest", where=str(path / MANIFEST), remedy=DAMAGED)
        manifest = orjson.loads(file.read_bytes())
    except FileNotFoundError:
        what = "is no bundle: it has no manifest.json" if folder.is_dir() else "no such bundle"
        raise BundleError(what, where=str(path), remedy="write one with driftwatch train") from None
    except NotADirectoryError:
        raise BundleError("is a file, not a bundle", where=str(path), remedy="give the folder of a bundle") from None
    except (OSError, ValueError) as error:
        raise BundleError(f"cannot be read: {error}", where=str(path / MANIFEST), remedy=DAMAGED) from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise BundleError("is not the manifest of a bundle", where=str(path / MANIFEST), remedy=DAMAGED)
    found = manifest.get("format_version")
    if found not in range(OLDEST_VERSION, FORMAT_VERSION + 1):
        raise BundleError(
            f"is of format version {found}; this driftwatch reads {OLDEST_VERSION} to {FORMAT_VERSION}",
            where=str(path),
            remedy="upgrade driftwatch" if _is_newer(found) else "train the reference again with this version",
        )
    return manifest


def _gathers(schema: Schema) -> bool:
    return isinstance(schema, TableSchema) and any(column.others for column in schema.columns)


def _least_version(schema: Schema, calibration: Mapping[str, NDArray[Any]]) -> int:
    """The oldest version that can read a bundle."""
    if LOCATED in calibration:
        return FORMAT_VERSION
    return GATHERED_VERSION if _gathers(schema) else PLAIN_VERSION


def _is_newer(version: object) -> bool:
    return isinstance(version, int) and version > FORMAT_VERSION


def _verified(folder: Path, path: Location, file: str, stated: Mapping[str, Any]) -> bytes:
    if file == MANIFEST or file not in FILES:
        raise BundleError(f"lists a file {file!r} that no bundle has", where=str(path), remedy=DAMAGED)
    place, held = path / file, folder / file
    try:
        _require_file(held)
        size = held.stat().st_size
        content = held.read_bytes() if size == stated["bytes"] else b""
    except OSError as error:
        raise BundleError(f"cannot be read: {error.strerror or error}", where=str(place), remedy=DAMAGED) from None
    if size != stated["bytes"]:
        what = f"is damaged: it has {size:,} bytes instead of {stated['bytes']:,}"
        raise BundleError(what, where=str(place), remedy=DAMAGED)
    if _sha256(content) != stated["sha256"]:
        raise BundleError("is damaged: its checksum is wrong", where=str(place), remedy=DAMAGED)
    return content


def _require_file(file: Location) -> None:
    """Refuse pipes, devices and links to them: reading might never end, or wait for a writer."""
    if isinstance(file, Path) and not stat.S_ISREG(mode := file.stat().st_mode) and not stat.S_ISDIR(mode):
        raise OSError("it is not a regular file")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _version(described: Mapping[str, Any], files: Mapping[str, Any]) -> str:
    """A digest of everything that decides what a bundle does; the report only illustrates it and is left out."""
    hashed = {**described, "files": {file: stated["sha256"] for file, stated in files.items() if file != REPORT}}
    return _sha256(orjson.dumps(hashed, option=orjson.OPT_SORT_KEYS))[:VERSION_LENGTH]


def _checksum(manifest: Mapping[str, Any]) -> str:
    """A digest of the manifest without its own checksum."""
    hashed = {key: value for key, value in manifest.items() if key != "checksum"}
    return _sha256(orjson.dumps(hashed, option=orjson.OPT_SORT_KEYS))


def _contiguous(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array)
