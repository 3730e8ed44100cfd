"""The end-to-end benchmark reads daemons' metrics correctly, and names of fleets describe their daemons."""

from __future__ import annotations

import pytest

from benchmarks.end_to_end.fleet import roles_of
from benchmarks.end_to_end.meters import parse
from driftwatch.serve.metrics import Metrics
from driftwatch.stream.events import DeadLettered, StageTimed


def test_stage_times_and_dead_letters_are_read_from_metrics() -> None:
    metrics = Metrics(streams=["images"])
    metrics(StageTimed("score", 0.25))
    before = parse(metrics.render()[0].decode())
    for event in (StageTimed("score", 0.5), StageTimed("score", 0.25), StageTimed("commit", 0.125)):
        metrics(event)
    metrics(DeadLettered("images", "malformed", "at 3"))
    metrics(DeadLettered("others", "shape", "at 4"))
    since = parse(metrics.render()[0].decode()) - before
    assert since.seconds == {"score": 0.75, "commit": 0.125}
    assert since.passes == {"score": 2, "commit": 1}
    assert since.dead == 2


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("2", [("score",), ("score",)]),
        ("2+1", [("score",), ("score",), ("test",)]),
        ("both", [("score", "test")]),
    ],
)
def test_a_fleet_is_named_by_its_daemons(name: str, roles: list[tuple[str, ...]]) -> None:
    assert roles_of(name) == roles


@pytest.mark.parametrize("name", ["", "all", "1+", "0", "-1", "0+1"])
def test_a_fleet_needs_a_daemon_that_scores(name: str) -> None:
    with pytest.raises(ValueError, match="is no fleet"):
        roles_of(name)
