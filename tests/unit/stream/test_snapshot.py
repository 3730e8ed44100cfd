"""State without a log: the same however often it is saved; no pane is encoded twice, and saving takes little time."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from driftwatch.data.codecs import encode
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stream import local, snapshot, time_windows
from driftwatch.stream.local import LocalStages
from driftwatch.stream.log import Record
from driftwatch.stream.pane_codec import encode_pane
from driftwatch.stream.panes import Pane
from driftwatch.stream.reading import Route
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.snapshot import EVERY_S, MOST_OF_THE_TIME, SaveSchedule, Snapshot, load_snapshot
from driftwatch.stream.time_windows import TimeRule, TimeSize
from tests.standards import STEP, standards_of
from tests.synthetic import SCHEMA, shuffled_rows, waves

TICK_MS, EVERY_MS = 1_000, 150
"""Slices therefore consist of several panes."""

STANDARDS = standards_of(
    [20, 50], budget=1e4, by_time=TimeRule((TimeSize("10s", 10_000),), TICK_MS, out_of_order_ms=0, budget=1e6)
)


def stages_on(reference: Reference, path: Path, began: Snapshot | None = None) -> LocalStages:
    return LocalStages(
        ScoreStage({"waves": Route("waves", Scorer(reference))}, STEP, tick_ms=TICK_MS),
        lambda stream, version: STANDARDS.standard(reference),
        ("in", 0),
        began or Snapshot(0),
        on_alert=lambda alert: None,
        observer=lambda event: None,
        path=path,
    )


def records(samples: np.ndarray) -> list[Record]:
    header = (("driftwatch-stream", b"waves"),)
    return [
        Record("in", 0, number, 1_000_000 + EVERY_MS * number, None, value, (*named.items(), *header))
        for number, (value, named) in enumerate(encode(sample[None], SCHEMA, "npy") for sample in samples)
    ]


def never() -> bool:
    return False


def test_the_state_is_the_same_however_often_it_is_saved_and_panes_are_encoded_once(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: dict[ModuleType, list[Pane]] = {local: [], time_windows: []}

    def record_encoding(module: ModuleType) -> None:
        def recording_encode(pane: Pane) -> bytes:
            encoded[module].append(pane)
            return encode_pane(pane)

        monkeypatch.setattr(module, "encode_pane", recording_encode)

    log = records(np.concatenate([waves(60, seed=3), shuffled_rows(waves(60, seed=4)), waves(60, seed=5)]))
    once = stages_on(reference, tmp_path / "once")
    for each in log:
        once.work(deque([each]), never)
    once.save()
    for module in encoded:
        record_encoding(module)
    often = stages_on(reference, tmp_path / "often")
    for each in log:
        often.work(deque([each]), never)
        often.save()
    assert (tmp_path / "often").read_bytes() == (tmp_path / "once").read_bytes()
    kept = [(pane.number, pane.n) for pane in encoded[local]]
    assert len(kept) == len(set(kept))
    assert {pane.unfinished for pane in encoded[local]} == {True, False}
    grown = [(pane.first, pane.n) for pane in encoded[time_windows]]
    assert len(grown) == len(set(grown)), "only ticks that have grown are encoded again"


def test_a_restart_continues_from_the_state_as_if_there_had_been_none(reference: Reference, tmp_path: Path) -> None:
    log = records(np.concatenate([waves(60, seed=3), shuffled_rows(waves(60, seed=4))]))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    stages = stages_on(reference, whole)
    stages.work(deque(log), never)
    stages.save()
    for start, end in ((0, 37), (37, 74), (74, len(log))):
        stages = stages_on(reference, parts, load_snapshot(parts))
        began = load_snapshot(parts)
        # Samples that waited for their pane are read again, as by a replay.
        stages.work(deque(log[began.position.offset if began else start : end]), never)
        stages.save()
    assert parts.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("passed_s", "took_s", "urgent", "due"),
    [
        (EVERY_S + 0.1, 0.0, False, True),
        (EVERY_S - 0.1, 0.0, False, False),
        (0.1, 0.0, True, True),
        (EVERY_S + 0.1, 1.0, False, False),
        (0.9 / MOST_OF_THE_TIME, 1.0, True, False),
        (1.1 / MOST_OF_THE_TIME, 1.0, True, True),
    ],
)
def test_the_state_is_saved_periodically_or_at_once_but_saving_takes_little_of_the_time(
    passed_s: float, took_s: float, urgent: bool, due: bool
) -> None:
    assert SaveSchedule(100.0, took_s).due(100.0 + passed_s, urgent=urgent) == due


def test_the_state_is_saved_even_if_no_more_samples_arrive(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = stages_on(reference, tmp_path / "state")
    stages.work(deque(records(waves(30))), never)
    assert not (tmp_path / "state").exists()
    monkeypatch.setattr(snapshot, "EVERY_S", 0.0)
    stages.check_silence(30)
    found = load_snapshot(tmp_path / "state")
    assert found is not None
    assert found.position.seen == 30
