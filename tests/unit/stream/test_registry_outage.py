"""A schema registry that fails in the middle of a unit of work."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from driftwatch.data.schema_registry import SchemaRegistry
from driftwatch.errors import RegistryError
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.events import BatchSeen
from driftwatch.stream.log import Record
from driftwatch.stream.panes import Pane
from driftwatch.stream.reading import Route
from driftwatch.stream.score_stage import ScoreStage
from tests import plain_http
from tests.registry import running_registry
from tests.synthetic import waves

PIXELS = {
    "type": "record",
    "name": "Image",
    "fields": [{"name": "pixels", "type": {"type": "fixed", "name": "P", "size": 64}}],
}
PLACE = ("t", 0)


def records(first: int, count: int) -> list[Record]:
    """Images, one per message, with two schemas alternately."""
    made = []
    for offset, image in enumerate(waves(count, seed=1).astype(np.uint8), first):
        value = bytes([0, 0, 0, 0, 1 + offset % 2]) + image.tobytes()
        made.append(Record(*PLACE, offset, 0, None, value, ((("driftwatch-stream"), b"waves"),)))
    return made


def stage_of(reference: Reference, registry: SchemaRegistry) -> ScoreStage:
    stage = ScoreStage({"waves": Route("waves", Scorer(reference))}, 2, registry=registry)
    stage.assign(PLACE, None)
    return stage


def test_messages_before_the_failure_are_processed_and_the_rest_waits(reference: Reference) -> None:
    with running_registry() as registry, plain_http.Client() as http:
        registry.avro("one", PIXELS)
        registry.avro("other", PIXELS)
        sent = records(100, 6)
        client = SchemaRegistry([registry.url], http, registry.url)
        undisturbed: list[Pane] = stage_of(reference, client).work(deque(sent)).panes

        client = SchemaRegistry([registry.url], http, registry.url)
        stage, queue = stage_of(reference, client), deque(sent)
        registry.status = 503
        with pytest.raises(RegistryError):
            stage.work(queue)
        assert list(queue) == sent
        registry.status = 0
        client.schema(1)  # the schema of even offsets
        registry.status = 503
        done = stage.work(queue)
        assert [event for event in done.events if isinstance(event, BatchSeen)] == [BatchSeen("waves", "ok", 1)]
        assert done.positions[PLACE].offset == 100
        assert done.positions[PLACE].seen == 101
        assert not done.dead
        assert list(queue) == sent[1:]
        with pytest.raises(RegistryError):
            stage.work(queue)
        registry.status = 0
        rest = stage.work(queue)
    assert not rest.dead
    for pane, expected in zip([*done.panes, *rest.panes], undisturbed, strict=True):
        assert (pane.first, pane.last) == (expected.first, expected.last)
        np.testing.assert_array_equal(pane.summary, expected.summary)
