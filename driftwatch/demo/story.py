"""The demo: train a reference, replay a stream with a drift in it, and narrate what happens."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from driftwatch.config import DaemonConfig, LogConfig, ReplaySource, ServerConfig, StreamConfig, WindowsConfig
from driftwatch.daemon import Daemon, load_references
from driftwatch.demo.camera import out_of_focus, sharp
from driftwatch.demo.record import Chronicle
from driftwatch.errors import UsageError
from driftwatch.reference.checkpoint import Interrupted
from driftwatch.reference.train import train
from driftwatch.reference.train_config import DataConfig, FlowConfig, OutputConfig, TrainConfig, TrainingConfig
from driftwatch.reference.trained import Listener, Trained
from driftwatch.reference.training import StepReport
from driftwatch.running import build_monitor, run_roles, serving
from driftwatch.stream.alert import Alert

STREAM = "camera"
TRAINING_SAMPLES = 12_000
BEFORE, DURING, AFTER = 3_000, 1_000, 2_000
STEPS, MINUTES = 1_200, 0.4
RATE = 240.0
WINDOWS = WindowsConfig(sizes=[50, 200], step=10)
PORT = 9464
SEED = 7

ANEW = "a demo always starts over"
"""Remedy shown when the demo is stopped."""


@dataclass(frozen=True)
class Narrator:
    """Callbacks that narrate the demo.

    Args:
        say: called with a line of text.
        training: called after each training step.
        alert: called when an alert is raised, with the number of the newest sample.
        watching: called repeatedly during the replay, to show the stream.
    """

    say: Callable[[str], None]
    training: Callable[[StepReport], None]
    alert: Callable[[Alert, int], None]
    watching: Callable[[Chronicle], None]


@dataclass(frozen=True)
class Outcome:
    """How the demo went; its drift begins at sample `drift[0]` and ends before `drift[1]`."""

    chronicle: Chronicle
    drift: tuple[int, int]


def drift_span() -> tuple[int, int]:
    """First sample out of focus, and the first one after the drift."""
    return BEFORE, BEFORE + DURING


def train_camera(folder: Path, stop: threading.Event, narrator: Narrator) -> Trained:
    """Generate the camera's images and train a reference on them."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    np.save(folder / "training.npy", sharp(TRAINING_SAMPLES, rng))
    np.save(folder / "stream.npy", _stream(rng))
    config = TrainConfig(
        data=DataConfig(train=[folder / "training.npy"]),
        output=OutputConfig(name=STREAM),
        windows=WINDOWS,
        flow=FlowConfig(scales=2, steps=4, hidden=32),
        training=TrainingConfig(
            minutes=MINUTES, max_steps=STEPS, warmup_steps=100, validate_every=200, calibration_fraction=0.2, seed=SEED
        ),
    )
    trained = train(config, folder / "reference", stop, Listener(narrator.say, narrator.training), fresh=True)
    if trained is None:
        raise UsageError("the demo trains in one process", remedy="start it without torchrun")
    return trained


@contextmanager
def watch_camera(folder: Path, stop: threading.Event, narrator: Narrator) -> Iterator[Outcome]:
    """Replay the stream against the reference, serving metrics until the context is left.

    Raises:
        Interrupted: `stop` was set before the end of the stream.
    """
    config = daemon_config(folder)
    chronicle = Chronicle(narrator.alert)
    monitor = build_monitor(config, chronicle)
    with serving(config, monitor) as url:
        narrator.say(f"status page {url}/   metrics {url}/metrics")
        daemon = Daemon(config, load_references(config), monitor)
        daemon.prepare()
        done = threading.Event()
        shown = threading.Thread(target=_show, args=(chronicle, done, narrator), daemon=True)
        shown.start()
        try:
            run_roles(daemon, stop)
        finally:
            done.set()
            shown.join()
        if stop.is_set():
            raise Interrupted("stopped", remedy=ANEW)
        yield Outcome(chronicle, drift_span())


def daemon_config(folder: Path) -> DaemonConfig:
    """The demo's configuration, as a file might state it."""
    return DaemonConfig(
        source=ReplaySource(kind="replay", data=[folder / "stream.npy"], stream=STREAM, batch=10, rate=RATE),
        streams=[StreamConfig(name=STREAM, reference=folder / "reference")],
        windows=WINDOWS,
        server=ServerConfig(port=_free_port(PORT)),
        log=LogConfig(level="error"),
    )


def _stream(rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.concatenate([sharp(BEFORE, rng), out_of_focus(DURING, rng), sharp(AFTER, rng)])


def _show(chronicle: Chronicle, done: threading.Event, narrator: Narrator) -> None:
    began, ended = drift_span()
    announced: set[int] = set()
    start = time.monotonic()
    while not done.wait(0.1):
        for at, line in ((began, "the lens goes out of focus"), (ended, "the lens is in focus again")):
            if chronicle.samples >= at and at not in announced:
                announced.add(at)
                narrator.say(f"{time.monotonic() - start:5.1f} s  sample {at:,}: {line}")
        narrator.watching(chronicle)


def _free_port(wanted: int) -> int:
    """The preferred port, or 0 (any free one) if it is taken."""
    with socket.socket() as probe:
        return wanted if probe.connect_ex(("127.0.0.1", wanted)) else 0
