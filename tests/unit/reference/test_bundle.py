"""A bundle is read back bit for bit, and any damage to it is refused."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from safetensors.numpy import load_file, save

from driftwatch.data.schema import Column, TableSchema, digests
from driftwatch.errors import BundleError
from driftwatch.flows.image import ImageFlow
from driftwatch.reference import bundle as module
from driftwatch.reference.bundle import (
    CALIBRATION,
    FLOW,
    FORMAT_VERSION,
    GATHERED_VERSION,
    MANIFEST,
    OLDEST_VERSION,
    PLAIN_VERSION,
    REPORT,
    load_bundle,
    refuse_existing,
    write_bundle,
)
from tests.synthetic import SCHEMA, SIDE

CALIBRATION_ARRAYS = {"mean": np.arange(6.0).reshape(2, 3), "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T}
FACTS = {"metrics": {"bits_per_dim": 2.5, "unknown": float("nan")}, "training": {"rows": 7}}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def flow(seed: int = 0) -> ImageFlow:
    torch.manual_seed(seed)
    return ImageFlow(1, SIDE, SIDE, scales=2, steps=1, hidden=4)


def write(out: Path, seed: int = 0, name: str = "cam", **options: Any) -> str:
    facts = options.pop("facts", FACTS)
    report = options.pop("report", b"PNG")
    return write_bundle(
        out,
        name=name,
        schema=options.pop("schema", SCHEMA),
        flow=flow(seed),
        calibration=CALIBRATION_ARRAYS,
        facts=facts,
        report=report,
        **options,
    )


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pristine") / "bundle"
    write(out)
    return out


@pytest.fixture
def copied(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "bundle"))


def test_a_bundle_is_read_back_bit_for_bit(pristine: Path) -> None:
    found = load_bundle(pristine)
    assert found.schema == SCHEMA
    assert found.name == "cam"
    assert found.manifest["training"] == {"rows": 7}
    assert found.manifest["version"] == found.version
    for name, tensor in flow().state_dict().items():
        assert torch.equal(found.flow.state_dict()[name], tensor)
    for name, array in CALIBRATION_ARRAYS.items():
        assert found.calibration[name].dtype == array.dtype
        assert np.array_equal(found.calibration[name], array)
    assert not found.flow.training
    assert not any(parameter.requires_grad for parameter in found.flow.parameters())


def test_the_version_depends_on_the_contents_only(tmp_path: Path) -> None:
    first = write(tmp_path / "a")
    assert write(tmp_path / "b", facts={"training": {"seconds": 3}}, report=None) == first
    assert write(tmp_path / "c", seed=1) != first
    assert write(tmp_path / "d", name="other") != first


def test_an_existing_bundle_is_not_overwritten(copied: Path) -> None:
    version = load_bundle(copied).version
    with pytest.raises(BundleError, match="exists already"):
        write(copied, seed=1)
    assert load_bundle(copied).version == version


def test_a_bundle_is_overwritten_on_request_and_other_folders_are_not(copied: Path, tmp_path: Path) -> None:
    version = write(copied, seed=1, overwrite=True)
    assert load_bundle(copied).version == version
    assert names(tmp_path) == ["bundle"]
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "text").write_text("mine")
    with pytest.raises(BundleError, match="is no bundle"):
        write(tmp_path / "notes", overwrite=True)


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("empty", [True, False])
def test_a_link_to_something_that_is_no_bundle_is_reported_before_the_work(
    tmp_path: Path, empty: bool, overwrite: bool
) -> None:
    if empty:
        (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to("elsewhere")
    with pytest.raises(BundleError, match="is no bundle" if overwrite else "exists already"):
        refuse_existing(tmp_path / "out", overwrite=overwrite)


def test_a_full_disk_is_reported_in_one_line_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BundleError, match=r"No space left on device \(it needs .* MB there") as raised:
        write(tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert names(tmp_path) == []


def manifest_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((path / MANIFEST).read_bytes())
    return found


def edited(edit: Callable[[dict[str, Any]], object], *, sealed: bool = False) -> Callable[[Path], None]:
    """A change of the manifest; if `sealed`, by someone who knows how to compute its checksums."""

    def damage(path: Path) -> None:
        manifest = manifest_of(path)
        edit(manifest)
        if sealed:
            described = {key: manifest.get(key) for key in ("schema", "architecture", "name")}
            manifest["version"] = module._version(described, manifest["files"])
            manifest["checksum"] = module._checksum(manifest)
        (path / MANIFEST).write_bytes(orjson.dumps(manifest))

    return damage


def cut(file: str) -> Callable[[Path], object]:
    return lambda path: (path / file).write_bytes((path / file).read_bytes()[:-1])


def flip(file: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray((path / file).read_bytes())
        content[len(content) // 2] ^= 1
        (path / file).write_bytes(content)

    return damage


def replace_by_folder(path: Path) -> None:
    (path / FLOW).unlink()
    (path / FLOW).mkdir()


def replace_by_pipe(path: Path) -> None:
    (path / MANIFEST).unlink()
    os.mkfifo(path / MANIFEST)


def replace_by_device(path: Path) -> None:
    (path / FLOW).unlink()
    (path / FLOW).symlink_to("/dev/zero")
    edited(lambda m: m["files"][FLOW].update(bytes=0), sealed=True)(path)


def write_nan(path: Path) -> None:
    weights = load_file(path / FLOW)
    content = save({**weights, "mix": np.full(3, np.nan)})
    (path / FLOW).write_bytes(content)
    entry = {"bytes": len(content), "sha256": module._sha256(content)}
    edited(lambda m: m["files"][FLOW].update(entry), sealed=True)(path)


def point_outside(manifest: dict[str, Any]) -> None:
    manifest["files"]["../bundle/" + FLOW] = manifest["files"].pop(FLOW)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no manifest": lambda path: (path / MANIFEST).unlink(),
    "no flow": lambda path: (path / FLOW).unlink(),
    "no calibration": lambda path: (path / CALIBRATION).unlink(),
    "a folder for a file": replace_by_folder,
    "cut manifest": cut(MANIFEST),
    "empty manifest": lambda path: (path / MANIFEST).write_bytes(b""),
    "manifest is a list": lambda path: (path / MANIFEST).write_bytes(b"[]"),
    "huge manifest": lambda path: os.truncate(path / MANIFEST, module.MAX_MANIFEST_BYTES + 1),
    "cut flow": cut(FLOW),
    "cut report": cut(REPORT),
    "bit in flow": flip(FLOW),
    "bit in calibration": flip(CALIBRATION),
    "bit in report": flip(REPORT),
    "edited metrics": edited(lambda m: m["metrics"].update(bits_per_dim=1.0)),
    "edited name": edited(lambda m: m.update(name="else")),
    "edited checksum": edited(lambda m: m["files"][FLOW].update(sha256="0" * 64)),
    "later format": edited(lambda m: m.update(format_version=FORMAT_VERSION + 1), sealed=True),
    "outside file": edited(point_outside, sealed=True),
    "file not listed": edited(lambda m: m["files"].pop(CALIBRATION), sealed=True),
    "no schema": edited(lambda m: m.pop("schema"), sealed=True),
    "schema of a wrong type": edited(lambda m: m.update(schema=[1]), sealed=True),
    "unknown schema": edited(lambda m: m["schema"].update(kind="sound"), sealed=True),
    "no architecture": edited(lambda m: m.update(architecture=None), sealed=True),
    "other architecture": edited(lambda m: m["architecture"].update(hidden=5), sealed=True),
    "senseless architecture": edited(lambda m: m["architecture"].update(hidden="many"), sealed=True),
    "endless architecture": edited(lambda m: m["architecture"].update(steps=10**8), sealed=True),
    "vast architecture": edited(lambda m: m["architecture"].update(hidden=40_000), sealed=True),
    "a pipe for a manifest": replace_by_pipe,
    "a device for weights": replace_by_device,
    "weights that are not numbers": write_nan,
    "bytes of a wrong type": edited(lambda m: m["files"][FLOW].update(bytes="many"), sealed=True),
    "files of a wrong type": edited(lambda m: m.update(files=[FLOW])),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_refused_in_one_line_with_a_remedy(copied: Path, damage: Callable[[Path], object]) -> None:
    try:
        damage(copied)
    except (KeyError, TypeError, AttributeError) as error:
        pytest.fail(f"damaging the bundle failed: {error!r}")
    with pytest.raises(BundleError) as raised:
        load_bundle(copied)
    assert "\n" not in str(raised.value)
    assert raised.value.remedy
    assert str(copied) in str(raised.value) or raised.value.where.startswith("architecture")


@pytest.mark.parametrize(
    ("found", "remedy"),
    [(FORMAT_VERSION + 1, "upgrade driftwatch"), (OLDEST_VERSION - 1, "train the reference again")],
)
def test_another_format_version_is_refused_with_the_remedy(copied: Path, found: int, remedy: str) -> None:
    edited(lambda m: m.update(format_version=found), sealed=True)(copied)
    with pytest.raises(BundleError, match=remedy):
        load_bundle(copied)


def test_a_bundle_has_the_newest_format_only_if_older_versions_cannot_read_it(tmp_path: Path) -> None:
    for others in ((), (digests(["Hof"]), digests(["Ulm", "Rom"]))):
        column = Column(name="town", kind="category", categories=("Bonn",), others=others)
        write(tmp_path / f"b{len(others)}", schema=TableSchema(columns=(column,)))
        bundle = load_bundle(tmp_path / f"b{len(others)}")
        assert bundle.schema == TableSchema(columns=(column,))
        assert bundle.manifest["format_version"] == (GATHERED_VERSION if others else PLAIN_VERSION)
        assert ("others" in bundle.manifest["schema"]["columns"][0]) == bool(others)


def test_a_report_is_not_needed_to_load(copied: Path) -> None:
    write(copied.parent / "plain", report=None)
    assert load_bundle(copied.parent / "plain").version == load_bundle(copied).version


def test_a_missing_bundle_is_distinguished_from_a_folder_that_is_not_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such bundle"):
        load_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"has no manifest\.json"):
        load_bundle(tmp_path)
    (tmp_path / "reference.csv").write_text("age\n3\n")
    with pytest.raises(BundleError, match=r"reference\.csv: is a file, not a bundle \(give the folder of a bundle\)$"):
        load_bundle(tmp_path / "reference.csv")
