"""Scores and tests in Python equal those of the commands and of alerts."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import driftwatch
from driftwatch.cli.app import _run
from driftwatch.errors import BundleError, UsageError
from tests.people import rows
from tests.synthetic import shuffled_rows, waves


def test_scores_equal_those_of_the_command(people: driftwatch.Reference, table_bundle: Path, tmp_path: Path) -> None:
    rows(150, seed=2).to_parquet(tmp_path / "rows.parquet")
    assert (
        _run(["score", str(table_bundle), str(tmp_path / "rows.parquet"), "--out", str(tmp_path / "out.parquet")]) == 0
    )
    expected = pd.read_parquet(tmp_path / "out.parquet").drop(columns="index")
    pd.testing.assert_frame_equal(pd.DataFrame(people.score(rows(150, seed=2)).to_dict()), expected)


def test_a_window_that_moved_is_distinguished_from_one_that_did_not(people: driftwatch.Reference) -> None:
    calm, moved = people.test(rows(200, seed=3)), people.test(rows(200, seed=4, shift=1.0))
    assert calm.p_value > 1e-3 > 1e-9 > moved.p_value
    assert calm.effect.low < 0.05
    assert calm.effect.nats < moved.effect.low < moved.effect.nats < moved.effect.high
    assert "age" in moved.explanation
    assert (moved.samples, moved.heat_map) == (200, None)
    assert moved.statistics["kl"] == next(each.statistic for each in moved.detectors if each.name == "kl")
    assert moved.p_values["combined"] == moved.p_value


def test_a_window_that_is_large_relative_to_the_held_out_samples_has_a_remark(people: driftwatch.Reference) -> None:
    assert people.test(rows(50, seed=3)).remarks == ()
    (remark,) = people.test(rows(1_000, seed=3)).remarks
    assert remark.startswith("windows of 1,000 are large relative to the ")


def test_windows_of_images_have_a_heat_map(pictures: driftwatch.Reference) -> None:
    found = pictures.test(shuffled_rows(waves(100, seed=5)))
    assert found.p_value < 1e-9
    assert found.heat_map is not None
    assert len(found.heat_map.values) == 2


def test_p_values_are_uniform_without_drift(people: driftwatch.Reference) -> None:
    found = [people.test(rows(50, seed=100 + seed)).p_value for seed in range(40)]
    assert 0.25 < np.mean(found) < 0.75
    assert min(found) > 1e-4


@pytest.mark.parametrize(
    "transfer", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))], ids=["copied", "sent"]
)
def test_a_reference_can_be_sent_to_another_process(
    transfer: Callable[[driftwatch.Reference], driftwatch.Reference],
    people: driftwatch.Reference,
    pictures: driftwatch.Reference,
) -> None:
    for reference, data in ((people, rows(70, seed=2)), (pictures, waves(70, seed=5))):
        expected, found = reference.score(data), transfer(reference).score(data)
        assert (found.nll == expected.nll).all()
        assert (found.score == expected.score).all()


def test_one_sample_is_a_window_too(people: driftwatch.Reference) -> None:
    one = rows(1, seed=6)
    # Sums of windows are rounded, scores of single samples are not, and p-values go in steps of a five-hundredth.
    assert people.test(one).p_value == pytest.approx(people.score(one).p_value[0], abs=0.004)


def test_a_notebook_shows_results_on_one_line(people: driftwatch.Reference) -> None:
    frame = rows(60, seed=6)
    result, scores = people.test(frame), people.score(frame)
    shown = repr(result)
    assert shown.startswith(
        f"<driftwatch.WindowTest of 60: p {result.p_value:.3g}, {result.effect.nats:.3g} nats/sample"
    )
    assert shown.endswith(f"{result.explanation}>")
    assert repr(scores).startswith(f"<driftwatch.Scores of 60: score {np.median(scores.score):.3g} (")
    monitor = people.monitor(name="mine")
    assert repr(monitor) == f"<driftwatch.Monitor mine: no alarm, on at p <= {monitor.threshold:.3g}>"


def test_a_reference_describes_itself(people: driftwatch.Reference, table_bundle: Path) -> None:
    assert repr(people) == f"<driftwatch.Reference mine/{people.version}: table row of 3 columns>"
    assert people.manifest["training"]["rows"] == 2_000
    assert (people.schema.kind, people.warnings, people.detectable) == ("table", (), ())
    with pytest.raises(BundleError, match="no such bundle"):
        driftwatch.load(table_bundle / "none")
    with pytest.raises(UsageError, match="'tpu' is not a device"):
        driftwatch.load(table_bundle, device="tpu")


def test_the_examples_in_docs_python_md_run(
    people: driftwatch.Reference,
    table_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "python.md").read_text()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / "mine").symlink_to(table_bundle)
    rows(100, seed=7).to_parquet("today.parquet")
    monkeypatch.setattr(driftwatch, "train", lambda *_, **__: people, raising=False)
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.+?)```", page, re.DOTALL):
        exec(block, names)
    names["predict"](rows(60, seed=8))
    assert len(names["monitor"].windows) == 2
    documented = re.search(r"print\(error\)  # (.+)", page)
    assert documented is not None
    assert documented[1] in capsys.readouterr().out
