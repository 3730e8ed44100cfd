"""A recalibrated bundle considers the new data normal, and the old data drift."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.signal import lfilter

from driftwatch.cli.app import _run
from driftwatch.reference.bundle import load_bundle, write_bundle
from driftwatch.reference.bundle_places import FLOW, REPORT
from driftwatch.reference.loading import load_reference
from driftwatch.reference.recalibration import recalibrate
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.sequential import simulate_null
from tests.synthetic import shuffled_rows, waves


@pytest.fixture(scope="module")
def recalibrated(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("renewed")
    np.save(folder / "now.npy", shuffled_rows(waves(3_000, seed=40))[:, 0].astype(np.uint8))
    assert _run(["recalibrate", str(bundle), str(folder / "now.npy"), "--out", str(folder / "new")]) == 0
    return folder / "new"


def test_the_flow_is_unchanged_and_the_manifest_names_the_original(bundle: Path, recalibrated: Path) -> None:
    before, after = load_bundle(bundle), load_bundle(recalibrated)
    assert after.version != before.version
    assert after.manifest["recalibrated"]["from_version"] == before.version
    for name, value in before.flow.state_dict().items():
        np.testing.assert_array_equal(value, after.flow.state_dict()[name])


def test_detectable_shifts_and_warnings_are_recorded(recalibrated: Path, bundle: Path, tmp_path: Path) -> None:
    manifest = load_bundle(recalibrated).manifest
    assert {row["window"] for row in manifest["metrics"]["detectable"]} == {50}
    assert {"repeated_share", "commonest_rows", "order"} == set(manifest["fitness"])
    plain = waves(1_000, seed=43)
    drifting = np.concatenate([plain, plain[:300], shuffled_rows(waves(700, seed=44))])
    done = recalibrate(load_bundle(bundle), drifting, tmp_path / "new", where="here", doing=lambda *_: None)
    assert [warning.kind for warning in done.warnings] == ["drifts-within", "duplicates"]
    assert "15 % of the samples" in done.warnings[1].what
    assert load_bundle(tmp_path / "new").version == done.version


def test_former_drift_is_normal_and_the_reverse(bundle: Path, recalibrated: Path) -> None:
    usual, unusual = waves(500, seed=41), shuffled_rows(waves(500, seed=42))
    before, after = (Scorer(load_reference(path)) for path in (bundle, recalibrated))
    assert np.median(before.scores(unusual).p_value) < 0.1 < np.median(before.scores(usual).p_value)
    assert np.median(after.scores(usual).p_value) < 0.1 < np.median(after.scores(unusual).p_value)


def test_all_of_the_data_counts_where_it_has_more_than_is_used(bundle: Path, tmp_path: Path) -> None:
    unusual = shuffled_rows(waves(1_400, seed=47))
    np.save(tmp_path / "now.npy", np.concatenate([waves(700, seed=48), unusual])[:, 0].astype(np.uint8))
    command = ["recalibrate", str(bundle), str(tmp_path / "now.npy"), "--out", str(tmp_path / "new")]
    assert _run([*command, "--samples", "700"]) == 0
    assert np.median(Scorer(load_reference(tmp_path / "new")).scores(unusual[:500]).p_value) > 0.1
    (warned,) = load_bundle(tmp_path / "new").manifest["warnings"]
    first, last = (int(row.replace(",", "")) for row in re.findall(r"row ([\d,]+)", warned["what"]))
    assert 130 < last - first < 270  # a tenth of all rows, not of those used


def test_a_stretch_of_a_stream_with_memory_is_calibrated_in_blocks(bundle: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(45)
    level = lfilter([0.3], [1.0, -0.95], rng.standard_normal(6_000))[:, None, None, None]
    stretch = np.clip(waves(6_000, seed=46) + 20.0 * level, 0, 255)
    np.save(tmp_path / "stretch.npy", stretch[:, 0].astype(np.uint8))
    command = ["recalibrate", str(bundle), str(tmp_path / "stretch.npy"), "--out", str(tmp_path / "new"), "--ordered"]
    assert _run(command) == 0
    found = load_reference(tmp_path / "new")
    assert found.memory.tau > 5
    assert found.memory.block > found.memory.tau
    assert found.manifest["recalibrated"]["memory_samples"] == found.memory.tau
    # The latest half, in order.
    assert len(found.bank) == 2_100


def test_a_stretch_with_too_few_independent_samples_is_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    level = lfilter([0.1], [1.0, -0.99], np.random.default_rng(47).standard_normal(2_000))[:, None, None, None]
    np.save(tmp_path / "short.npy", np.clip(waves(2_000, seed=48) + 60.0 * level, 0, 255)[:, 0].astype(np.uint8))
    command = ["recalibrate", str(bundle), str(tmp_path / "short.npy"), "--out", str(tmp_path / "new"), "--ordered"]
    assert _run(command) == 1
    error = capsys.readouterr().err
    assert "the stream remembers" in error
    assert "too few to calibrate with" in error


def test_too_few_samples_are_refused(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "few.npy", waves(500)[:, 0].astype(np.uint8))
    assert _run(["recalibrate", str(bundle), str(tmp_path / "few.npy"), "--out", str(tmp_path / "new")]) == 1
    assert "500 samples are too few to calibrate with (give at least 572)" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.fixture
def watch(bundle: Path, tmp_path: Path) -> Path:
    """A configuration with windows whose null the bundle does not hold."""
    settings = {
        "source": {"kind": "http"},
        "streams": [{"name": "cam", "reference": str(bundle)}],
        "windows": {"sizes": [20, 100, "5m"], "step": 10},
    }
    (tmp_path / "watch.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path / "watch.yaml"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulations are of few samples."""
    monkeypatch.setattr(
        "driftwatch.reference.reference.simulate_null",
        lambda *given, **options: simulate_null(*given, **{**options, "samples": 20_000}),
    )


@pytest.mark.usefixtures("quick")
def test_without_data_the_null_of_a_daemons_windows_is_added_and_nothing_else(
    bundle: Path, watch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, trained = load_bundle(bundle), tmp_path / "trained"
    facts: dict[str, Any] = {"training": {"rows": 2_000}, "metrics": {"detectable": []}}
    parts = {"name": held.name, "schema": held.schema, "flow": held.flow, "calibration": held.calibration}
    version = write_bundle(trained, **parts, facts=facts, report=b"a picture")
    command = ["recalibrate", str(trained), "--for", str(watch), "--out", str(tmp_path / "new")]
    assert _run(command) == 0
    assert f"{version} with the null of windows of 20, 100, 5m" in capsys.readouterr().out
    before, after = load_bundle(trained), load_bundle(tmp_path / "new")
    for file in (FLOW, REPORT):
        assert (trained / file).read_bytes() == (tmp_path / "new" / file).read_bytes()
    assert after.facts == before.facts == facts
    assert after.manifest["format_version"] == before.manifest["format_version"]
    for name, array in before.calibration.items():
        np.testing.assert_array_equal(after.calibration[name], array)
    assert after.version != before.version

    monkeypatch.setattr("driftwatch.reference.reference.simulate_null", None)
    options: dict[str, Any] = {"step": 10, "budget": 1e6, "resolve_after": 3}
    found = load_reference(tmp_path / "new")
    assert found.procedure([20, 100], by_time=True, **options).grid is not None
    found.procedure([20, 100], **options)  # this one was there before
    # Once more changes nothing, so the version is the same.
    command[1], command[-1] = command[-1], str(tmp_path / "again")
    assert _run(command) == 0
    assert load_bundle(tmp_path / "again").version == after.version


@pytest.mark.usefixtures("quick")
def test_check_says_whether_each_start_simulates(
    bundle: Path, watch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told() -> tuple[str, bool]:
        assert _run(["check", str(watch)]) == 0
        text = capsys.readouterr().out
        assert _run(["check", str(watch), "--format", "json"]) == 0
        return text, json.loads(capsys.readouterr().out)["streams"][0]["simulated"]

    remedy = f"driftwatch recalibrate BUNDLE --for {watch} --out NEW"
    text, simulated = told()
    assert remedy in text
    assert simulated
    settings = yaml.safe_load(watch.read_text())
    watch.write_text(yaml.safe_dump({**settings, "windows": {"sizes": [20, 100], "step": 10}}))
    text, simulated = told()
    assert remedy not in text
    assert not simulated
    kafka = {"kind": "kafka", "bootstrap_servers": "127.0.0.1:1", "topic": "cam"}
    watch.write_text(yaml.safe_dump({**settings, "source": kafka, "roles": ["score"]}))
    assert _run(["check", str(watch), "--offline"]) == 0
    assert remedy not in capsys.readouterr().out, "who only scores simulates nothing"


@pytest.mark.usefixtures("quick")
def test_with_data_the_null_of_a_daemons_windows_is_simulated_too(bundle: Path, watch: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "now.npy", waves(700, seed=40)[:, 0].astype(np.uint8))
    command = ["recalibrate", str(bundle), str(tmp_path / "now.npy"), "--for", str(watch), "--out"]
    assert _run([*command, str(tmp_path / "new")]) == 0
    found = load_reference(tmp_path / "new")
    assert [null.is_of([20, 100], 10, by_time=True) for null in found.stored] == [True]


@pytest.mark.parametrize("options", [[], ["--ordered"], ["--ordered", "--for"]])
def test_refuses_to_do_nothing(
    bundle: Path, watch: Path, tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    given = [each for option in options for each in ([option, str(watch)] if option == "--for" else [option])]
    assert _run(["recalibrate", str(bundle), *given, "--out", str(tmp_path / "new")]) == 2
    assert "there is no data (name data that is normal now" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_check_repeats_the_warnings_of_the_bundle(
    recalibrated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drifting = np.concatenate([waves(1_500, seed=45), shuffled_rows(waves(500, seed=46))])
    recalibrate(load_bundle(recalibrated), drifting, tmp_path / "new", where="here", doing=lambda *_: None)
    np.save(tmp_path / "stream.npy", waves(100)[:, 0].astype(np.uint8))
    settings = {
        "source": {"kind": "replay", "data": ["stream.npy"], "stream": "cam"},
        "streams": [{"name": "cam", "reference": "new"}],
        "windows": {"sizes": [50], "step": 10},
    }
    (tmp_path / "watch.yaml").write_text(yaml.safe_dump(settings))
    assert _run(["check", str(tmp_path / "watch.yaml")]) == 0
    output = capsys.readouterr().out
    assert "cam: warning: the data drifts within: the tenth from row" in output
    assert "Smallest shift detected" in output
    assert "cam: one false alarm in 1,000,000 samples is more than" in " ".join(output.split())
    assert _run(["check", str(tmp_path / "watch.yaml"), "--format", "json"]) == 0
    (stream,) = json.loads(capsys.readouterr().out)["streams"]
    assert len(stream["warnings"]) == 1
    between = stream["samples_between_false_alarms"]
    assert between["low"] < 1e6 < between["high"]
    assert between["confidence"] == 0.95
    assert {"shift", "unit", "window", "size", "power", "budget"} <= set(stream["detectable"][0])
