"""Faults against a replay, which has no broker: at the end its state must equal the oracle's, to the byte."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from driftwatch.config import DaemonConfig
from driftwatch.daemon import Daemon, load_references
from driftwatch.running import build_monitor
from driftwatch.stream.snapshot import Snapshot, load_snapshot
from tests.daemons import Launch, RunningDaemon, launch
from tests.full_disk import full_disk
from tests.synthetic import shuffled_rows, waves

STREAM = "waves"
STARTED_MS = 1_800_000_000_000
RATE = 300
"""Samples per second."""

SPELL = 200
"""Samples in a spell; the stream drifts in every second one."""

ROOM = 9_000
"""Bytes that still fit on a full disk: enough for a log, and too few for a state."""

END_S = 400.0
"""The longest time for the rest of the stream at the end; all of it, if no state was kept."""


@dataclass(frozen=True)
class ReplayOutcome:
    """The outcome of a run.

    Args:
        struck: the number of faults, by kind.
        alerts: the number of alerts in the state.
        exact: whether the state equals the oracle's, to the byte.
    """

    struck: Mapping[str, int]
    alerts: int
    exact: bool


def kill(daemon: RunningDaemon, pause: Callable[[], None]) -> None:
    """Kill it."""
    daemon.kill()


def stop(daemon: RunningDaemon, pause: Callable[[], None]) -> None:
    """Shut it down cleanly."""
    daemon.stop()


def fill_and_kill(daemon: RunningDaemon, pause: Callable[[], None]) -> None:
    """Fill the disk, and kill it while the disk is full."""
    with full_disk(ROOM, daemon.process.pid):
        _wait_for_event(daemon, "state not kept; trying again")
        pause()
        daemon.kill()


def fill_and_clear(daemon: RunningDaemon, pause: Callable[[], None]) -> None:
    """Fill the disk for a while, and kill it once state is saved again."""
    with full_disk(ROOM, daemon.process.pid):
        _wait_for_event(daemon, "state not kept; trying again")
        pause()
    _wait_for_event(daemon, "state is kept again")
    daemon.kill()


REPLAY_FAULTS: Mapping[str, Callable[[RunningDaemon, Callable[[], None]], None]] = {
    "kill -9": kill,
    "stop": stop,
    "full disk, then kill -9": fill_and_kill,
    "full disk for a while, then kill -9": fill_and_clear,
}


def replay_config(bundle: Path, data: Path, state_dir: Path) -> dict[str, Any]:
    """A daemon's configuration."""
    return {
        "source": {"kind": "replay", "data": [str(data)], "stream": STREAM, "batch": 7, "rate": RATE},
        "streams": [{"name": STREAM, "reference": str(bundle)}],
        "windows": {"sizes": [20, 100], "step": 10},
        "sinks": [{"kind": "log"}],
        "state_dir": str(state_dir),
    }


def run_replay(
    bundle: Path,
    folder: Path,
    *,
    faults: Sequence[str | None],
    seed: int,
    longest_delay_s: float,
    start: Launch = launch,
) -> ReplayOutcome:
    """Run a replay through faults, and compare its final state with the oracle's.

    Args:
        bundle: the stream's reference.
        folder: for data, configurations, logs and states.
        faults: their kinds in turn, None for one to be drawn.
        seed: of faults and samples.
        longest_delay_s: the longest time between the resumption of a replay and its fault.
        start: starts a daemon.
    """
    draw, data = random.Random(seed), folder / "stream.npy"
    config, oracle = (replay_config(bundle, data, folder / name) for name in ("state", "oracle"))
    np.save(data, _samples(int(RATE * longest_delay_s * (len(faults) + 1)), seed))
    for each in (config, oracle):
        Snapshot(STARTED_MS).save(_state(each))

    def pause() -> None:
        threading.Event().wait(draw.uniform(0, longest_delay_s / 2))

    kinds = [parsed or draw.choice(sorted(REPLAY_FAULTS)) for parsed in faults]
    for number, kind in enumerate(kinds):
        daemon = start(config, folder, f"{number:03}")
        try:
            _wait_for_event(daemon, "replay resumed")
            pause()
            REPLAY_FAULTS[kind](daemon, pause)
        finally:
            daemon.process.kill()
        assert load_snapshot(_state(config)) is not None, f"no complete state after {kind}"
    last = start(config, folder, f"{len(kinds):03}")
    try:
        assert last.process.wait(END_S) == 0, last.log.read_text()
    finally:
        last.process.kill()
    found, expected = (_state(each).read_bytes() for each in (config, _undisturbed(oracle)))
    snapshot = load_snapshot(_state(config))
    assert snapshot is not None
    return ReplayOutcome(Counter(kinds), len(snapshot.alerts), found == expected)


class _NoWaiting(threading.Event):
    """An event whose `wait` returns at once."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


def _undisturbed(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Run the same replay in this process, from first to last, as fast as possible."""
    parsed = DaemonConfig.model_validate(config)
    monitor = build_monitor(parsed)
    daemon = Daemon(parsed, load_references(parsed), monitor)
    with closing(daemon):
        daemon.roles()[0].run(_NoWaiting())
    return config


def _state(config: Mapping[str, Any]) -> Path:
    return Path(config["state_dir"]) / f"{STREAM}.replay.json"


def _samples(count: int, seed: int) -> np.ndarray:
    spells = [waves(SPELL, 100 * seed + number) for number in range(-(-count // SPELL))]
    drifting = [shuffled_rows(each) if number % 2 else each for number, each in enumerate(spells)]
    return np.concatenate(drifting)[:, 0].astype(np.uint8)


def _wait_for_event(daemon: RunningDaemon, event: str) -> None:
    daemon.wait_for(event, lambda: any(line["event"] == event for line in daemon.lines()))
