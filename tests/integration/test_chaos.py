"""Faults change nothing that is committed; `make chaos` tries many faults, of every kind."""

from __future__ import annotations

from pathlib import Path

from tests.broker import KafkaBroker
from tests.chaos.run import WINDOWS, run_chaos
from tests.synthetic import with_null

KINDS = ("kill -9 in a switch", "frozen past its session")
SEED = 5


def test_faults_change_nothing_that_is_committed(
    own_broker: KafkaBroker, timed_bundle: Path, other: Path, tmp_path: Path
) -> None:
    # Beside the daemons' link, where they look for the reference of panes from before a switch.
    (first := tmp_path / timed_bundle.name).symlink_to(timed_bundle)
    bundles = [first, with_null(other, tmp_path, *WINDOWS)]
    outcome = run_chaos([own_broker], bundles, tmp_path, faults=KINDS, seed=SEED)
    assert outcome.exact, outcome
    expected = {each.what: each.expected for each in outcome.comparisons}
    assert min(expected.values()) > 0, "without panes, windows, alerts and dead letters nothing is tested"
