"""A structured CloudEvent is parsed once by each stage that needs it: for its trace, its stream and its samples."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import orjson
import pytest

from driftwatch.config import HttpSource
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.intake import Posted, record_of
from driftwatch.stream.log import Record
from driftwatch.stream.reading import Route
from driftwatch.stream.score_stage import ScoreStage
from tests.synthetic import waves

STRUCTURED = b"application/cloudevents+json"
EVENT = orjson.dumps(
    {
        "specversion": "1.0",
        "source": "waves",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "data": waves(10, seed=1).tolist(),
    }
)


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    loads, parsed = orjson.loads, list[bytes]()

    def count(body: bytes) -> object:
        parsed.append(body)
        return loads(body)

    monkeypatch.setattr(orjson, "loads", count)
    return lambda: parsed.count(EVENT)


def test_by_the_stage_that_scores_it(reference: Reference, parses: Callable[[], int]) -> None:
    stage = ScoreStage({"waves": Route("waves", Scorer(reference))}, 10)
    work = stage.work(deque([Record("input", 0, 0, 1_000, None, EVENT, (("content-type", STRUCTURED),))]))
    assert [(pane.stream, pane.n, bool(pane.trace)) for pane in work.panes] == [("waves", 10, True)]
    assert parses() == 1


def test_by_the_intake_that_queues_it(parses: Callable[[], int]) -> None:
    posted = Posted(EVENT, ((b"content-type", STRUCTURED),), "", 1_000)
    found = record_of(posted, 0, HttpSource(kind="http"), None)
    assert found is not None
    assert found.key == b"waves"
    assert parses() == 1
