"""``driftwatch evaluate`` says which budget it uses, and which windows repeat samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from driftwatch.cli.app import _run
from tests.synthetic import shuffled_rows, waves


@pytest.mark.parametrize(
    ("size", "repeating"), [(20, ()), (120, ("moved.npy has 200",)), (550, ("moved.npy has 200", "waves has 1,000"))]
)
def test_repeated_samples_and_the_budget_are_reported(
    bundle: Path, tmp_path: Path, size: int, repeating: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    calm, moved = tmp_path / "calm.npy", tmp_path / "moved.npy"
    np.save(calm, waves(1_500, seed=5).astype(np.uint8))
    np.save(moved, shuffled_rows(waves(200, seed=6)).astype(np.uint8))
    shifted = f"moved={moved}"
    assert _run(["evaluate", str(bundle), "--reference", str(calm), "--shifted", shifted, "--windows", str(size)]) == 0
    captured = capsys.readouterr()
    warnings = [line for line in captured.err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == len(repeating)
    assert all(f"windows of {size} hold samples more than once" in line for line in warnings)
    assert all(any(where in line for line in warnings) for where in repeating)
    assert "at p <= window / 1,000,000: one false alarm in 1,000,000 samples" in " ".join(captured.out.split())


def test_samples_are_of_all_of_the_data(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calm, moved = tmp_path / "calm.npy", tmp_path / "moved.npy"
    np.save(calm, waves(400, seed=5).astype(np.uint8))
    np.save(moved, np.concatenate([waves(200, seed=6), shuffled_rows(waves(1_800, seed=7))]).astype(np.uint8))
    command = ["evaluate", str(bundle), "--reference", str(calm), "--shifted", f"moved={moved}", "--windows", "20"]
    assert _run([*command, "--samples", "200", "--format", "json"]) == 0
    assert max(row["auroc"] for row in json.loads(capsys.readouterr().out)) > 0.9


def test_all_detectors_fit_into_eighty_columns(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    calm, moved = tmp_path / "calm.npy", tmp_path / "moved.npy"
    np.save(calm, waves(60, seed=5).astype(np.uint8))
    np.save(moved, shuffled_rows(waves(60, seed=6)).astype(np.uint8))
    command = ["evaluate", str(bundle), "--reference", str(calm), "--shifted", f"shuffled={moved}"]
    assert _run([*command, "--windows", "1,5,10,50", "--parts", "--baselines"]) == 0
    _, _, headings, *rows = capsys.readouterr().out.splitlines()
    assert headings.split() == ["shift", "detector", "n=1", "n=5", "n=10", "n=50"]
    assert [row.split()[:2] for row in rows] == [
        ["shuffled", detector]
        for detector in ("combined", "kl", "geometry", "nll", "typicality", "moments", "mmd", "ks")
    ]
