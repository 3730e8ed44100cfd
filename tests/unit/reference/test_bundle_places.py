"""Bundles at URLs."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftwatch.config import load_config
from driftwatch.daemon import load_references
from driftwatch.errors import BundleError
from driftwatch.locations import RemotePath
from driftwatch.reference.bundle import load_bundle, refuse_existing, write_bundle
from driftwatch.reference.bundle_places import FILES, MANIFEST, REPORT
from tests.synthetic import SCHEMA


def copy(bundle: Path, to: str) -> RemotePath:
    for file in bundle.iterdir():
        (RemotePath(to) / file.name).upload(file)
    return RemotePath(to)


def test_a_remote_bundle_is_written_and_read_back(bundle: Path, bucket: str) -> None:
    local, out = load_bundle(bundle), RemotePath(bucket)
    contents = {"name": local.name, "schema": SCHEMA, "flow": local.flow, "calibration": local.calibration, "facts": {}}
    assert write_bundle(out, **contents) == local.version
    found = load_bundle(bucket)
    assert (found.version, found.path) == (local.version, out)
    with pytest.raises(BundleError, match=r"s3://.*: exists already"):
        write_bundle(out, **contents)
    assert write_bundle(out, **contents, overwrite=True) == local.version


def test_a_replaced_bundle_leaves_no_report_behind(bundle: Path, bucket: str) -> None:
    local, out = load_bundle(bundle), RemotePath(bucket)
    contents = {"name": local.name, "schema": SCHEMA, "flow": local.flow, "calibration": local.calibration, "facts": {}}
    write_bundle(out, **contents, report=b"PNG")
    assert (out / REPORT).exists()
    write_bundle(out, **contents, overwrite=True)
    assert {file.name for file in out.below()} == {*FILES} - {REPORT}


def test_an_incomplete_or_damaged_bundle_is_refused(bundle: Path, bucket: str) -> None:
    with pytest.raises(BundleError, match=rf"^{bucket}: is no bundle"):
        load_bundle(bucket)
    place = copy(bundle, bucket)
    (place / "flow.safetensors").write_bytes((bundle / "flow.safetensors").read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match=rf"^{bucket}/flow.safetensors: is damaged: its checksum is wrong"):
        load_bundle(bucket)
    (place / "flow.safetensors").remove()
    with pytest.raises(BundleError, match=rf"^{bucket}/flow.safetensors: cannot be read: No such file"):
        load_bundle(bucket)


def test_an_unusable_place_is_reported_before_anything_is_done(bucket: str) -> None:
    refuse_existing(RemotePath(bucket))
    with pytest.raises(BundleError, match=r"^s3://no-such-bucket/mine: cannot be written: "):
        refuse_existing(RemotePath("s3://no-such-bucket/mine"))
    (RemotePath(bucket) / "notes.txt").write_bytes(b"mine")
    with pytest.raises(BundleError, match="is no bundle, and is not overwritten"):
        refuse_existing(RemotePath(bucket), overwrite=True)


def test_an_interrupted_write_is_not_a_bundle_and_can_be_repeated(
    bundle: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    local, out = load_bundle(bundle), RemotePath(bucket)
    contents = {"name": local.name, "schema": SCHEMA, "flow": local.flow, "calibration": local.calibration, "facts": {}}
    real = RemotePath.write_bytes

    def fail_on_manifest(place: RemotePath, content: bytes) -> None:
        if place.name == MANIFEST:
            raise OSError("the store is full")
        real(place, content)

    monkeypatch.setattr(RemotePath, "write_bytes", fail_on_manifest)
    with pytest.raises(BundleError, match="cannot be written: the store is full"):
        write_bundle(out, **contents)
    monkeypatch.setattr(RemotePath, "write_bytes", real)
    assert len(out.below()) == 2
    with pytest.raises(BundleError, match="is no bundle"):
        load_bundle(out)
    assert write_bundle(out, **contents) == local.version


def test_a_daemon_loads_its_reference_from_a_url(bundle: Path, bucket: str, tmp_path: Path) -> None:
    copy(bundle, bucket)
    config = tmp_path / "daemon.yaml"
    config.write_text(
        f"source: {{kind: replay, data: ['{bucket}/a.npy', b.npy], stream: waves}}\n"
        f"streams: [{{name: waves, reference: '{bucket}'}}]\n"
    )
    loaded = load_config(config)
    assert [str(place) for place in loaded.source.data] == [f"{bucket}/a.npy", str(tmp_path / "b.npy")]
    assert load_references(loaded)[bucket].version == load_bundle(bundle).version


def test_the_manifest_is_written_last(bundle: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    real = RemotePath.write_bytes

    def record(place: RemotePath, content: bytes) -> None:
        written.append(place.name)
        real(place, content)

    monkeypatch.setattr(RemotePath, "write_bytes", record)
    local = load_bundle(bundle)
    write_bundle(RemotePath(bucket), name="x", schema=SCHEMA, flow=local.flow, calibration=local.calibration, facts={})
    assert len(written) == 3
    assert written[-1] == MANIFEST
