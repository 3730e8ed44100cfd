"""Procedures that follow a stream and raise alarms, each set to the same expected run time between false alarms."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.run import Pool
from benchmarks.sliding import sliding_sums
from driftwatch.reference.scoring import Scorer

CHUNK = 2_000
RESOLVE_AFTER = 3
SIMULATED_RUN_TIMES = 200
BOOTSTRAPS_PER_RUN_TIME = 10
"""alibi-detect asks for at least ten times the expected run time."""

M_MMAP_THRESHOLD = -3
"""``M_MMAP_THRESHOLD`` of glibc's ``mallopt``."""

WARM_UP = 200
SIMULATED, HALVINGS = 100_000, 10

Rows = NDArray[np.int64]


class Monitor(Protocol):
    """Watches one stream at a time."""

    name: str

    def alarms(self, pool: Pool, rows: Rows) -> Iterator[int]:
        """The numbers of samples of the stream `rows` of `pool` after which it alarms; it restarts after each alarm."""


class Sliding:
    """driftwatch's procedure: windows of several sizes, tested every `step` samples at one threshold.

    Args:
        scorer: scorer of the reference.
        run_time: expected samples between false alarms.
        sizes: sizes of the windows.
        step: samples between tests.
    """

    def __init__(self, scorer: Scorer, run_time: float, sizes: tuple[int, ...], step: int) -> None:
        self.name = f"driftwatch, {'/'.join(map(str, sizes))} every {step}, budget {run_time:,.0f}"
        self._widths = {size: size // step for size in sizes}
        self._step = step
        self._procedure = scorer.reference.procedure(
            sizes, step, budget=run_time, resolve_after=RESOLVE_AFTER, samples=round(SIMULATED_RUN_TIMES * run_time)
        )

    def alarms(self, pool: Pool, rows: Rows) -> Iterator[int]:
        threshold, longest = self._procedure.control.threshold, max(self._widths.values())
        started, history = 0, np.empty((0, pool.summaries.shape[1]))
        for first in range(0, len(rows) // self._step, CHUNK):
            part = rows[first * self._step : (first + CHUNK) * self._step]
            part = part[: len(part) // self._step * self._step]
            fresh = pool.summaries[part].reshape(-1, self._step, history.shape[1]).sum(1, dtype=np.float64)
            panes = np.concatenate([history, fresh])
            p_values = {width: self._p_values(panes, size) for size, width in self._widths.items()}
            for pane in range(len(history), len(panes)):
                seen = first - len(history) + pane + 1
                full = [width for width in p_values if seen - started >= width]
                if full and min(p_values[width][pane] for width in full) <= threshold:
                    started = seen
                    yield seen * self._step
            history = panes[-(longest - 1) :] if longest > 1 else history

    def _p_values(self, panes: NDArray[np.float64], size: int) -> NDArray[np.float64]:
        """The p-value of the window that ends with each pane; 1 where too few panes precede it."""
        width, out = self._widths[size], np.ones(len(panes))
        if len(panes) >= width:
            out[width - 1 :] = self._procedure.nulls[size].test(sliding_sums(panes, width)).p_values["combined"]
        return out


class Online:
    """alibi-detect's online MMD or LSDD on pixel values, tested at each sample.

    Args:
        kind: ``mmd`` or ``lsdd``.
        known: reference samples ``(N, D)``.
        run_time: expected samples until a false alarm.
        window: samples in the detector's window.
    """

    def __init__(self, kind: str, known: NDArray[np.float32], run_time: float, window: int) -> None:
        from alibi_detect.cd import LSDDDriftOnline, MMDDriftOnline

        _keep_the_heap_whole()
        self.name = f"online {kind.upper()} (alibi), window {window}"
        detector: Any = {"mmd": MMDDriftOnline, "lsdd": LSDDDriftOnline}[kind]
        self._detector = detector(
            known,
            ert=run_time,
            window_size=window,
            backend="pytorch",
            n_bootstraps=round(BOOTSTRAPS_PER_RUN_TIME * run_time),
            device="cpu",
            verbose=False,
        )

    def alarms(self, pool: Pool, rows: Rows) -> Iterator[int]:
        self._detector.reset_state()
        for seen, x in enumerate(pool.views["vectors"][rows], 1):
            if self._detector.predict(x, return_test_stat=False)["data"]["is_drift"]:
                self._detector.reset_state()
                yield seen


def _keep_the_heap_whole() -> None:
    """Have large blocks mapped and unmapped: otherwise alibi-detect's bootstrap fragments the heap up to 20 GB."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 20)


class Adwin:
    """river's ADWIN on the likelihood under our flow; its confidence is set by simulation on held-out samples.

    Its only reference is the stream itself, so it is given some held-out likelihoods whenever it starts.

    Args:
        held_out: held-out likelihoods, ``(N,)``.
        run_time: expected samples until a false alarm.
        seed: seed of the stream on which the confidence is set.
    """

    name = "ADWIN (river) on the likelihood"

    def __init__(self, held_out: NDArray[np.floating], run_time: float, seed: int) -> None:
        self._held_out = held_out.astype(float)
        stream = np.random.default_rng(seed).choice(self._held_out, SIMULATED)
        low, high = np.log(1e-6), np.log(0.999)
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            self._delta = float(np.exp(middle))
            often = sum(1 for _ in self._over(stream)) > SIMULATED / run_time
            low, high = (low, middle) if often else (middle, high)

    def alarms(self, pool: Pool, rows: Rows) -> Iterator[int]:
        yield from self._over(pool.views["nll"][rows, 0].astype(float))

    def _over(self, values: NDArray[np.floating]) -> Iterator[int]:
        detector = self._new()
        for seen, value in enumerate(values.tolist(), 1):
            detector.update(value)
            if detector.drift_detected:
                detector = self._new()
                yield seen

    def _new(self) -> Any:
        from river.drift import ADWIN

        detector = ADWIN(delta=self._delta, clock=1)
        for value in self._held_out[:WARM_UP].tolist():
            detector.update(value)
        return detector
