"""Commands whose data, bundles and results are at URLs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftwatch.cli.app import _run
from driftwatch.locations import RemotePath
from tests.synthetic import shuffled_rows, waves
from tests.unit.reference.test_bundle_places import copy


@pytest.fixture
def remote(bundle: Path, bucket: str, tmp_path: Path) -> str:
    """A prefix with a bundle, data like its reference, and data that differ."""
    copy(bundle, f"{bucket}/mine")
    for name, images in (("calm", waves(1_500, seed=5)), ("moved", shuffled_rows(waves(200, seed=6)))):
        np.save(tmp_path / f"{name}.npy", images.astype(np.uint8))
        (RemotePath(bucket) / f"{name}.npy").upload(tmp_path / f"{name}.npy")
    return bucket


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_scores_can_be_written_to_a_url(
    remote: str, bundle: Path, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = {".parquet": pd.read_parquet, ".csv": pd.read_csv, ".jsonl": lambda path: pd.read_json(path, lines=True)}
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    assert (
        _run(["score", f"{remote}/mine", f"{remote}/moved.npy", "--window", "50", "--out", f"{remote}/s{suffix}"]) == 0
    )
    assert (
        _run(
            ["score", str(bundle), str(tmp_path / "moved.npy"), "--window", "50", "--out", str(tmp_path / f"s{suffix}")]
        )
        == 0
    )
    for name in (f"s{suffix}", f"s.windows{suffix}"):
        (RemotePath(remote) / name).download(tmp_path / "remote")
        assert (tmp_path / "remote").read_bytes() == (tmp_path / name).read_bytes()
        assert len(readers[suffix](tmp_path / name)) == (200 if name[1:] == suffix else 4)
    assert not any((tmp_path / "temporary").iterdir())


def test_a_reference_is_recalibrated_and_evaluated(remote: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["recalibrate", f"{remote}/mine", f"{remote}/calm.npy", "--out", f"{remote}/new"]) == 0
    assert f"{remote}/new (version " in capsys.readouterr().out.replace("\n", "")
    shifted = f"moved={remote}/moved.npy"
    assert (
        _run(
            ["evaluate", f"{remote}/new", "--reference", f"{remote}/calm.npy", "--shifted", shifted, "--windows", "50"]
        )
        == 0
    )
    assert "100.0" in capsys.readouterr().out


def test_an_unwritable_result_is_reported_before_anything_is_read(
    remote: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(["score", f"{remote}/none", f"{remote}/none.npy", "--out", "s3://no-such-bucket/s.csv"]) == 2
    assert (
        capsys.readouterr()
        .err.replace("\n", "")
        .endswith(
            "error: s3://no-such-bucket/s.csv: cannot be written: there is no bucket 'no-such-bucket' (check the URL)"
        )
    )
