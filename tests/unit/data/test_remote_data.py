"""Data sets at URLs are read like those on this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from driftwatch.data.readers import open_dataset
from driftwatch.errors import DataError
from driftwatch.locations import RemotePath, files_below
from tests.unit.data.test_readers import IMAGES, TABLE, write, write_parts


def put(local: Path, remote: str) -> str:
    for file in files_below(local) if local.is_dir() else [local]:
        below = file.relative_to(local.parent)
        RemotePath(f"{remote}/{below}").upload(Path(str(file)))
    return f"{remote}/{local.name}"


@pytest.mark.parametrize("kind", [".npy", ".npz", "-idx3-ubyte", "-idx3-ubyte.gz", "-folder"])
def test_remote_images_are_read_like_local_ones(tmp_path: Path, bucket: str, kind: str) -> None:
    local = open_dataset(write(tmp_path, kind))
    remote = open_dataset(put(tmp_path / f"data{kind}", bucket))
    schema = remote.infer_schema()
    assert (schema, remote.rows, remote.name) == (local.infer_schema(), 50, local.name)
    np.testing.assert_array_equal(np.concatenate(list(remote.chunks(schema, rows=16)))[:, 0], IMAGES)
    np.testing.assert_array_equal(next(remote.chunks(schema, rows=5, start=30))[:, 0], IMAGES[30:35])
    assert remote.fingerprint() == local.fingerprint()


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_remote_tables_in_several_files_are_read_like_local_ones(tmp_path: Path, bucket: str, suffix: str) -> None:
    put(write_parts(tmp_path, suffix), bucket)
    TABLE.to_parquet(tmp_path / "whole.parquet")
    whole = open_dataset(tmp_path / "whole.parquet")
    schema = whole.infer_schema()
    for place in (f"{bucket}/parts", f"{bucket}/parts/day=*/*/part-*{suffix}"):
        parts = open_dataset(place)
        assert (parts.infer_schema(), parts.rows) == (schema, 30)
        np.testing.assert_array_equal(*(np.concatenate(list(each.chunks(schema, rows=7))) for each in (whole, parts)))
    assert open_dataset(f"{bucket}/parts", columns=["region"]).infer_schema().shape == (1,)


def test_missing_and_broken_remote_data_are_reported_in_one_line(tmp_path: Path, bucket: str) -> None:
    for url in (f"{bucket}/none.npy", f"{bucket}/*.csv", "s3://no-such-bucket/none.csv"):
        with pytest.raises(
            DataError, match=r"^s3://.*: no such file or folder \(check the URL, and whether you may read it\)$"
        ):
            open_dataset(url)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(DataError, match=rf"^{bucket}/a.parquet: cannot be read: "):
        open_dataset(put(tmp_path / "a.parquet", bucket))


def test_a_storage_that_fails_midway_is_reported_in_one_line(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    TABLE.to_csv(tmp_path / "a.csv", index=False)
    dataset = open_dataset(put(tmp_path / "a.csv", bucket))

    class GoneError(Exception):
        pass

    def fail(*_: object) -> bytes:
        raise GoneError("the connection is gone")

    monkeypatch.setattr(s3fs.core.S3File, "_fetch_range", fail)
    with pytest.raises(DataError, match=rf"^{bucket}/a.csv: cannot be read: the connection is gone"):
        next(dataset.chunks(dataset.infer_schema()))
