"""How often an alarm comes and goes while a drift grows slowly, by what ends alarms.

    python -m benchmarks.slow_onset [--streams 12] [--budget "1 per 1e6 samples"]

Vectors of 16 dimensions, a flow that was never trained, windows of 50 and 500 every 10 samples. A drift begins after
1,500 samples, grows linearly over 5,000, stays for 2,000 and is over at once. One alarm is right; then resolutions are
late by as long as windows still hold samples of the drift, and by what is waited for.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import mean

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.growth import reference_of
from driftwatch.config import AlertsConfig, WindowsConfig
from driftwatch.data.schema import VectorSchema
from driftwatch.reference.scoring import ScoredPane, Scorer
from driftwatch.stats.sums import keep
from driftwatch.stream.monitor import tester_factory
from driftwatch.stream.panes import Pane
from driftwatch.stream.policy import CALM, Policy, PolicyState, advance
from driftwatch.stream.results import WindowResult
from driftwatch.stream.windows import Standard, StreamTester

Samples = NDArray[np.float64]
Step = tuple[Sequence[WindowResult], bool]
"""What was found of the windows that end with a pane, and whether the anytime alarm is on."""

DIM, STEP, HELD_OUT = 16, 10, 10_000
BEFORE, GROWS, STAYS, AFTER = 1_500, 5_000, 2_000, 2_500
SIZE = np.concatenate([np.zeros(BEFORE), np.linspace(0.0, 1.0, GROWS), np.ones(STAYS), np.zeros(AFTER)])[:, None]
OVER = (BEFORE + GROWS + STAYS) // STEP


def _correlated(samples: Samples, size: Samples) -> Samples:
    samples = samples.copy()
    samples[:, 1] = np.sqrt(1 - size[:, 0] ** 2) * samples[:, 1] + size[:, 0] * samples[:, 0]
    return samples


DRIFTS: dict[str, Callable[[Samples], Samples]] = {
    "one mean +1": lambda samples: samples + SIZE * np.eye(DIM)[0],
    "one mean +0.5": lambda samples: samples + 0.5 * SIZE * np.eye(DIM)[0],
    "all means +0.3": lambda samples: samples + 0.3 * SIZE,
    "spread +30 %": lambda samples: samples * (1 + 0.3 * SIZE),
    "two correlated, 0.8": lambda samples: _correlated(samples, 0.8 * SIZE),
}


def main() -> None:
    """Prints a row for each rule: alarms in a drift, and samples from its end to the last resolution."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=12, help="of each drift")
    parser.add_argument("--budget", default="1 per 1e6 samples")
    options = parser.parse_args()
    torch.set_num_threads(1)
    reference = reference_of(VectorSchema(dim=DIM), HELD_OUT)
    windows, alerts = WindowsConfig(sizes=[50, 500], step=STEP), AlertsConfig(false_alarm_budget=options.budget)
    standard, scorer = tester_factory(windows, alerts).standard(reference), Scorer(reference)
    found: dict[str, list[list[Step]]] = {}
    for name, drift in DRIFTS.items():
        found[name] = []
        for seed in range(options.streams):
            samples = drift(np.random.default_rng(1_000 + seed).standard_normal((len(SIZE), DIM)))
            scored = scorer([samples[i : i + STEP] for i in range(0, len(samples), STEP)])
            found[name].append(list(_steps(standard, scored)))
    print(f"Threshold {standard.policy.threshold:.2g}\n")
    print(f"| an alarm is over after | {' | '.join(DRIFTS)} | all | drifts of one alarm |")
    print(f"| --- |{' ---: |' * (len(DRIFTS) + 2)}")
    for rule, policy in _rules(standard.policy):
        told = {name: [_alarms(policy, steps) for steps in streams] for name, streams in found.items()}
        every = [each for streams in told.values() for each in streams]
        cells = [f"{_mean(streams)}" for streams in told.values()]
        once = sum(alarms == 1 for alarms, _ in every)
        print(f"| {rule} | {' | '.join(cells)} | {_mean(every)} | {once} of {len(every)} |", flush=True)


def _rules(policy: Policy) -> Iterator[tuple[str, Policy]]:
    for steps in (3, 10, 20, 50):
        above = replace(policy, resolve_after=steps, calm=policy.threshold)
        yield f"{steps} steps above the threshold", above
    for calm in (1e-3, CALM, 0.05):
        yield f"3 steps above {calm:g}", replace(policy, resolve_after=3, calm=calm)


def _steps(standard: Standard, scored: Sequence[ScoredPane]) -> Iterator[Step]:
    tester = StreamTester("one", standard)
    version = standard.reference.version
    panes = [
        Pane("one", version, STEP, keep(each.summary), i, i, "in", 0, (i, 0), (i, 9), grades=each.grades.tobytes())
        for i, each in enumerate(scored)
    ]
    for outcome in tester.feed_all(panes):
        yield outcome.windows, tester.bets is not None and tester.bets.held > 0


def _alarms(policy: Policy, steps: Sequence[Step]) -> tuple[int, int]:
    """How many there are, and samples from the drift's end to that of the last one."""
    state, alarms, resolved = PolicyState(), 0, 0
    for number, (results, anytime) in enumerate(steps):
        if not results:
            continue
        before = state
        state, _ = advance(policy, before, results, anytime=anytime)
        alarms += state.firing and not before.firing
        if before.firing and not state.firing:
            resolved = number
    return alarms, STEP * (resolved - OVER)


def _mean(streams: Sequence[tuple[int, int]]) -> str:
    late = [samples for _, samples in streams if samples > 0]
    return f"{mean(alarms for alarms, _ in streams):.2f} ({mean(late):.0f})"


if __name__ == "__main__":
    main()
