"""Faults against a replay, which has no broker: in the end its state is the oracle's, to the byte."""

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
"""Samples a second."""

SPELL = 200
"""Samples, in every second lot of which the stream drifts."""

ROOM = 9_000
"""Bytes that a full disk still takes: a log fits, and no state."""

END_S = 400.0
"""How long the rest of the stream may take in the end, which is as long as all of it if nothing was kept."""


@dataclass(frozen=True)
class ReplayOutcome:
    """What a run came to.

    Args:
        struck: faults by their kind.
        alerts: in the state, newest last.
        exact: whether the state is the oracle's, to the byte.
    """

    struck: Mapping[str, int]
    alerts: int
    exact: bool


def kill(daemon: RunningDaemon, pause: Callable[[], None]) -> None:
    """It is gone within an instruction."""
    daemon.kill()


def stop(daemon: RunningDaemon, pause: Callable[[], None]) -> None:
    """It is stopped as it should be."""
    daemon.stop()


def fill_and_kill(daemon: RunningDaemon, pause: Callable[[], None]) -> None:
    """The disk is full until it is killed."""
    with full_disk(ROOM, daemon.process.pid):
        _told(daemon, "state not kept; trying again")
        pause()
        daemon.kill()


def fill_and_clear(daemon: RunningDaemon, pause: Callable[[], None]) -> None:
    """The disk is full for a while, and then there is room again."""
    with full_disk(ROOM, daemon.process.pid):
        _told(daemon, "state not kept; trying again")
        pause()
    _told(daemon, "state is kept again")
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
    longest_s: float,
    start: Launch = launch,
) -> ReplayOutcome:
    """Runs a replay through faults, and compares its state in the end with the oracle's.

    Args:
        bundle: the reference of the stream.
        folder: for data, configurations, logs and states.
        faults: their kinds in turn; one that is None is drawn.
        seed: of faults and samples.
        longest_s: between the beginning of the stream's work and a fault.
        start: starts a daemon.
    """
    draw, data = random.Random(seed), folder / "stream.npy"
    config, calm = (replay_config(bundle, data, folder / name) for name in ("state", "oracle"))
    np.save(data, _samples(int(RATE * longest_s * (len(faults) + 1)), seed))
    for each in (config, calm):
        Snapshot(STARTED_MS).save(_state(each))

    def pause() -> None:
        threading.Event().wait(draw.uniform(0, longest_s / 2))

    kinds = [stated or draw.choice(sorted(REPLAY_FAULTS)) for stated in faults]
    for number, kind in enumerate(kinds):
        daemon = start(config, folder, f"{number:03}")
        try:
            _told(daemon, "replay resumed")
            pause()
            REPLAY_FAULTS[kind](daemon, pause)
        finally:
            daemon.process.kill()
        assert load_snapshot(_state(config)) is not None, f"no whole state after {kind}"
    last = start(config, folder, f"{len(kinds):03}")
    try:
        assert last.process.wait(END_S) == 0, last.log.read_text()
    finally:
        last.process.kill()
    found, expected = (_state(each).read_bytes() for each in (config, _undisturbed(calm)))
    snapshot = load_snapshot(_state(config))
    assert snapshot is not None
    return ReplayOutcome(Counter(kinds), len(snapshot.alerts), found == expected)


class _Hurry(threading.Event):
    """Lets whoever waits go on at once."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


def _undisturbed(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same in this process, from the first message to the last, as fast as it can."""
    stated = DaemonConfig.model_validate(config)
    monitor = build_monitor(stated)
    daemon = Daemon(stated, load_references(stated), monitor)
    with closing(daemon):
        daemon.roles()[0].run(_Hurry())
    return config


def _state(config: Mapping[str, Any]) -> Path:
    return Path(config["state_dir"]) / f"{STREAM}.replay.json"


def _samples(count: int, seed: int) -> np.ndarray:
    spells = [waves(SPELL, 100 * seed + number) for number in range(-(-count // SPELL))]
    drifting = [shuffled_rows(each) if number % 2 else each for number, each in enumerate(spells)]
    return np.concatenate(drifting)[:, 0].astype(np.uint8)


def _told(daemon: RunningDaemon, event: str) -> None:
    daemon.wait_for(event, lambda: any(line["event"] == event for line in daemon.lines()))
