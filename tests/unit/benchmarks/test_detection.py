"""The quick benchmark of detection: its report, an order that must hold, and the functions behind its figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp

from benchmarks.detection import monitors
from benchmarks.detection.__main__ import main
from benchmarks.detection.bootstrap import Interval, auroc_interval, median_interval
from benchmarks.detection.delay import LONGEST, Delay, changing, delays, run_time, write
from benchmarks.detection.fashion import equal_contrast
from benchmarks.detection.monitors import Rows, Sliding
from benchmarks.detection.pixels import contrast
from benchmarks.detection.run import Pool
from benchmarks.detection.views import views
from benchmarks.detection.windows import draw
from driftwatch.data.schema import Column, TableSchema
from driftwatch.reference.baselines import KolmogorovSmirnov
from driftwatch.reference.evaluation import auroc
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.null import DETECTORS
from tests.synthetic import shuffled_rows, waves

PARTS = ("handwriting", "waves")

Found = dict[tuple[str, str, int, str], dict[str, float]]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the results of a quick run."""
    out = tmp_path_factory.mktemp("detection")
    main(quick=True, out=out, only="", bundle=None, bundles=out / "bundles", seed=0)
    return out


@pytest.fixture(scope="module")
def found(quick: Path) -> Found:
    """The rows of its results."""
    rows = [row for part in PARTS for row in json.loads((quick / f"{part}.json").read_bytes())["rows"]]
    return {(row["material"], row["shift"], row["window"], row["contender"]): row for row in rows}


def test_every_contender_is_measured_on_every_shift(found: Found) -> None:
    contenders = {contender for *_, contender in found}
    assert set(DETECTORS) < contenders
    assert any(name.startswith("mmd") for name in contenders)
    assert any(name.startswith("ks") for name in contenders)
    for material in PARTS:
        cells = {key[1:3] for key in found if key[0] == material}
        assert {key for key in found if key[0] == material and key[3] == "combined"} == {
            (material, *cell, "combined") for cell in cells
        }
    assert all(row["low"] <= row["auroc"] <= row["high"] for row in found.values())


def test_joint_drift_is_detected_but_not_by_univariate_tests(found: Found) -> None:
    ours = found["handwriting", "joint only", 50, "combined"]
    univariate = next(row for key, row in found.items() if key[1:3] == ("joint only", 50) and key[3].startswith("ks"))
    assert ours["low"] > 0.95
    assert univariate["auroc"] < 0.75
    assert univariate["high"] < ours["low"]


def test_more_samples_give_a_higher_auroc(found: Found) -> None:
    for shift in ("p3_3 +2", "p3_3 x1.5"):
        small, large = (found["handwriting", shift, size, "combined"]["auroc"] for size in (5, 50))
        assert small < large


@pytest.mark.parametrize("part", PARTS)
def test_the_report_names_its_command_and_missing_packages(quick: Path, part: str) -> None:
    text = (quick / f"{part}.md").read_text()
    about = json.loads((quick / f"{part}.json").read_bytes())["about"]
    assert f"    {about['command']}\n" in text
    for name, version in about["packages"].items():
        assert f"- {name} {version or 'not installed'}" in text
    assert "BSL 1.1" in text
    assert f"![]({part}.png)" in text
    assert (quick / f"{part}.png").stat().st_size > 1_000


def test_the_summary_has_every_part_and_marks_the_best(quick: Path, found: Found) -> None:
    text = (quick / "summary.md").read_text()
    for part in PARTS:
        assert f"[{part}]({part}.md)" in text
    cells_of = {line.split(" | ")[0][2:]: line.split(" | ")[1:] for line in text.splitlines() if line.startswith("| ")}
    for shift in ("joint only", "p3_3 +2"):
        assert cells_of[shift][0].strip("*") == f"{100 * found['handwriting', shift, 5, 'combined']['auroc']:.1f}"
    # Where two contenders reach 100 %, neither leads; at n=5 the likelihood sees joint drift as well as ours.
    assert "*" not in cells_of["joint only"][0]


def test_auroc_counts_ties_and_its_interval_has_the_right_width() -> None:
    rng = np.random.default_rng(0)
    reference, shifted = rng.integers(0, 5, 400).astype(float), rng.integers(1, 6, 300).astype(float)
    interval = auroc_interval(reference, shifted)
    assert interval.value == pytest.approx(auroc(reference, shifted))
    spread = np.std([auroc(rng.choice(reference, 400), rng.choice(shifted, 300)) for _ in range(300)])
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * spread, rel=0.2)


def test_the_order_of_windows_does_not_change_an_interval() -> None:
    values = np.random.default_rng(0).normal(size=200)
    assert auroc_interval(values, values[::-1] + 1.0).value == auroc_interval(np.sort(values), values + 1.0).value
    assert median_interval(np.full(20, 3.0)) == (3.0, 3.0, 3.0)


def test_windows_hold_the_foreign_share_and_no_sample_twice() -> None:
    rng = np.random.default_rng(0)
    tenth = (draw(rng, 100, 80, 50, 200, 0.1) >= 100).sum(1)
    assert set(tenth) == {5}
    twentieth = (draw(rng, 100, 80, 50, 400, 0.05) >= 100).sum(1)
    assert set(twentieth) == {2, 3}
    assert twentieth.mean() == pytest.approx(2.5, abs=0.1)
    whole = draw(rng, 100, 80, 50, 20, 1.0)
    assert whole.min() >= 100
    assert whole.max() < 180
    assert all(len(set(window)) == 50 for window in whole)


def test_the_contrast_of_equal_likelihood_is_found() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28)).astype(np.uint8)

    def likelihood(samples: np.ndarray) -> float:  # type: ignore[type-arg]
        return -float(samples.std())

    target = likelihood(contrast(images, 0.62))
    assert equal_contrast(images, target, likelihood) == pytest.approx(0.62, abs=0.005)


def test_missing_values_and_categories_are_converted_for_peers() -> None:
    schema = TableSchema(
        columns=(Column(name="a", kind="numeric"), Column(name="b", kind="category", categories=("x", "y")))
    )
    reference = np.array([[0.0, 0.0], [2.0, 1.0], [4.0, 1.0]])
    seen = views(schema, reference)
    rows = np.array([[np.nan, 0.0], [4.0, 2.0]])
    np.testing.assert_allclose(seen["columns"](rows), [[2, 0], [4, 2]])
    np.testing.assert_allclose(seen["vectors"](rows), [[0, 1, 0], [2 / np.std([0, 2, 4]), 0, 0]])


@pytest.mark.parametrize("size", [1, 5, 50])
def test_ks_equals_scipy_s(size: int) -> None:
    rng = np.random.default_rng(size)
    reference, window = rng.integers(0, 20, (300, 6)).astype(float), rng.integers(0, 22, (size, 6)).astype(float)
    expected = max(ks_2samp(a, b).statistic for a, b in zip(reference.T, window.T, strict=True))
    assert KolmogorovSmirnov(reference).statistic(window) == pytest.approx(expected)


class _AlarmsAt:
    """A monitor that alarms at fixed places."""

    name = "every"

    def __init__(self, *places: int) -> None:
        self._places = places

    def alarms(self, pool: Pool, rows: Rows) -> Iterator[int]:
        yield from (place for place in self._places if place <= len(rows))


def test_a_delay_is_the_time_from_the_change_to_the_next_alarm() -> None:
    pool = Pool(np.zeros((0, 1), dtype=np.float32), {})
    streams = [(np.zeros(5_000, dtype=np.int64), 100), (np.zeros(5_000, dtype=np.int64), 130)]
    assert delays(_AlarmsAt(50, 120, 140), pool, streams).tolist() == [20.0, 10.0]
    assert delays(_AlarmsAt(50), pool, streams).tolist() == [LONGEST, LONGEST]


def test_run_times_have_an_interval() -> None:
    pool, rows = Pool(np.zeros((0, 1), dtype=np.float32), {}), np.zeros(1_000, dtype=np.int64)
    found = run_time(_AlarmsAt(*range(100, 1_001, 100)), pool, rows)
    assert (found.alarms, found.mean) == (10, 100.0)
    assert found.low < 100 < found.high
    assert run_time(_AlarmsAt(), pool, rows).high > 1e6


def test_delays_are_reported_with_false_alarms(tmp_path: Path) -> None:
    pool, rows = Pool(np.zeros((0, 1), dtype=np.float32), {}), np.zeros(1_000, dtype=np.int64)
    monitor = _AlarmsAt(*range(100, 1_001, 100))
    late = Delay("every", "blur", Interval(7.0, 5.0, 9.0), Interval(8.0, 6.0, 9.5), missed=1, streams=50)
    about = {"command": "python -m benchmarks.detection", "bundle": "b", "expected": 100.0}
    write(tmp_path, about, {"every": run_time(monitor, pool, rows)}, [late])
    assert json.loads((tmp_path / "delay.json").read_bytes())["run_times"]["every"]["alarms"] == 10
    text = (tmp_path / "delay.md").read_text()
    assert "| every | 10 | 100 [" in text
    assert "| every | 7 [5, 9] |" in text
    assert "every, blur: 1" in text


def test_our_procedure_alarms_soon_and_independently_of_chunks(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = Scorer(reference)
    fresh, moved = waves(400, seed=5), shuffled_rows(waves(400, seed=6))
    summaries = np.concatenate([part.astype(np.float32) for x in (fresh, moved) for part in scorer.summaries(x)])
    pool = Pool(summaries, {})
    streams = changing(np.random.default_rng(0), 400, 400, 5)
    monitor = Sliding(scorer, 2_000, (10, 50), 5)
    found = delays(monitor, pool, streams)
    assert found.max() <= 30
    alarms = list(monitor.alarms(pool, streams[0][0]))
    # After a restart it needs a full window before it can alarm again.
    assert min(np.diff(alarms)) >= 10
    monkeypatch.setattr(monitors, "CHUNK", 7)
    assert list(monitor.alarms(pool, streams[0][0])) == alarms
