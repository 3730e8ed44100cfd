"""Samples received over HTTP, after the HTTP server: the role that scores them."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import orjson
import pytest

from driftwatch.config import HttpSource
from driftwatch.data.codecs import encode
from driftwatch.errors import SourceError
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.alert import Alert
from driftwatch.stream.events import AlertRecalled, BatchSeen, DeadLettered, Event, Progress, StateKept
from driftwatch.stream.intake import RESPONSE_TYPE, Posted
from driftwatch.stream.intake_queue import IntakeQueue
from driftwatch.stream.intake_role import IntakeRole
from driftwatch.stream.reading import Route
from driftwatch.stream.score_stage import ScoreStage
from tests.full_disk import full_disk
from tests.standards import STEP, standards_of
from tests.synthetic import SCHEMA, shuffled_rows, waves

ARRIVED_MS = 1_800_000_000_000
JSON = b'{"instances": [[1, 2, 3]]}'
STANDARDS = standards_of([20], budget=1e4)


class Run:
    """A role with a small reference, run until the queue is empty."""

    def __init__(self, reference: Reference, state_dir: Path | None) -> None:
        self.events: list[Event] = []
        self.alerts: list[Alert] = []
        self.queue = IntakeQueue(10_000, 1 << 30)
        STANDARDS.procedure(reference)  # calibrates once, beforehand: a stopping role has no time for it
        self.role = IntakeRole(
            HttpSource(kind="http"),
            self.queue,
            ScoreStage({"waves": Route("waves", Scorer(reference))}, STEP),
            lambda stream, version: STANDARDS.standard(reference) if stream == "waves" else None,
            streams=("waves",),
            on_alert=self.alerts.append,
            observer=self.events.append,
            state_dir=state_dir,
        )

    def post(self, value: bytes, headers: dict[str, str] | None = None) -> None:
        pairs = tuple((name.encode(), text.encode()) for name, text in (headers or {}).items())
        message = Posted(value, pairs, "", ARRIVED_MS)
        assert self.queue.claim(message.size)
        assert self.queue.put(message)

    def post_samples(self, samples: np.ndarray, batch: int = 5) -> None:
        for start in range(0, len(samples), batch):
            self.post(encode(samples[start : start + batch], SCHEMA, "npy")[0])

    def finish(self) -> None:
        """Run it with a stop requested: queued messages are scored nevertheless."""
        stop = threading.Event()
        stop.set()
        self.role.run(stop)

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)


def test_a_stopped_role_scores_queued_messages_and_its_successor_continues(
    reference: Reference, tmp_path: Path
) -> None:
    first, second = Run(reference, tmp_path), Run(reference, tmp_path)
    first.post_samples(waves(50, seed=3))
    first.post_samples(shuffled_rows(waves(40, seed=4)))
    first.finish()
    assert [alert.state for alert in first.alerts] == ["firing"]
    assert first.queue.closed
    assert any(isinstance(event, Progress) and event.kind == "source_connected" for event in first.events)
    # The second knows that the alarm is on: it does not report the continuing drift again, but its end.
    second.post_samples(shuffled_rows(waves(20, seed=5)))
    second.post_samples(waves(100, seed=6))
    second.finish()
    assert [alert.state for alert in second.alerts] == ["resolved"]
    (before,), (after,) = first.alerts[0].window.offsets, second.alerts[0].window.offsets
    assert before.last < after.first, "no offset is used twice"
    recalled = [event.alert for event in second.events if isinstance(event, AlertRecalled)]
    assert [(alert.id, alert.examples) for alert in recalled] == [(first.alerts[0].id, None)]


def test_a_full_disk_holds_up_nothing_and_leaves_the_previous_state(reference: Reference, tmp_path: Path) -> None:
    calm = Run(reference, tmp_path)
    calm.post_samples(waves(50, seed=3))
    calm.finish()
    drifting = Run(reference, tmp_path)
    drifting.post_samples(shuffled_rows(waves(40, seed=4)))
    with full_disk(100), pytest.raises(SourceError, match=r"intake\.json: the state cannot be kept: File too large"):
        drifting.finish()
    assert [alert.state for alert in drifting.alerts] == ["firing"]
    assert [bool(event.trouble) for event in drifting.events if isinstance(event, StateKept)] == [True]
    assert [path.name for path in tmp_path.iterdir()] == ["intake.json"]
    again = Run(reference, tmp_path)
    again.post_samples(shuffled_rows(waves(40, seed=4)))
    again.finish()
    assert [alert.effect for alert in again.alerts] == [alert.effect for alert in drifting.alerts]


def test_unusable_messages_are_kept_with_their_reason(reference: Reference, tmp_path: Path) -> None:
    run = Run(reference, tmp_path)
    run.post(b"rubbish", {"content-type": "application/json"})
    run.post(b'{"instances": [[1, 2]]}', {"driftwatch-stream": "of nobody"})
    run.post(b'{"specversion": "1.0", "type": "%s"}' % RESPONSE_TYPE.encode(), {"content-type": "a/b+json"})
    run.post_samples(waves(10))
    run.finish()
    lines = [orjson.loads(line) for line in (tmp_path / "intake.dead-letters.jsonl").read_bytes().splitlines()]
    assert [line["reason"] for line in lines] == ["malformed", "unknown_stream", "empty"]
    assert lines[1]["error"].startswith("belongs to no configured stream: 'of nobody' (")
    assert lines[1]["error"].endswith(" to a configured one: waves)")
    assert (lines[0]["value"], lines[0]["headers"]) == ("cnViYmlzaA==", {"content-type": "application/json"})
    assert (tmp_path / "intake.dead-letters.jsonl").stat().st_mode & 0o077 == 0
    assert run.count(DeadLettered) == 3
    assert [event for event in run.events if isinstance(event, BatchSeen)][-1] == BatchSeen("waves", "ok", 5)


def test_without_a_state_folder_nothing_is_written(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run(reference, None)
    run.post(b"rubbish")
    run.post_samples(waves(30))
    run.finish()
    assert run.count(DeadLettered) == 1
    assert list(tmp_path.iterdir()) == []
