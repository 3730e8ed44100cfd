"""How many alerts one drift raises, and how late its end is reported, for different rules that end alarms.

    python -m benchmarks.flapping [--streams 40] [--budget "1 per 1e6 samples"]
    python -m benchmarks.flapping --bundle bundles/fashion --data /usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz

Streams are drawn from data that the bundle was not trained on, with windows of 50 and 500 every 10 samples, and a share
of the samples is foreign: images upside down, or rows whose columns come from other rows. Without a bundle, samples are
vectors of 16 dimensions, one of which shifts, and the flow is untrained. Drifts are steady, grow slowly, come in
batches, are short, or exist from the start; each should raise one alert. False alarms are counted on streams without
drift at a lax threshold, because the usual threshold lets too few pass.
"""  # noqa: E501 - a command is one line

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.growth import reference_of
from benchmarks.sliding import sliding_sums
from driftwatch.config import AlertsConfig, WindowsConfig
from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import ImageSchema, Samples, VectorSchema
from driftwatch.reference.loading import load_reference
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.martingale import grades
from driftwatch.stats.summary import Array
from driftwatch.stream.alert import WindowSpan
from driftwatch.stream.policy import Policy, PolicyState, advance
from driftwatch.stream.results import Excess, WindowResult
from driftwatch.stream.standards import Standard, standards_for

DIM, HELD_OUT, GENERATED, MOVED = 16, 10_000, 20_000, 1.5
SIZES, STEP = (50, 500), 10
BEFORE, LASTS, AFTER = 1_500, 5_000, 4_000
"""Samples before a drift, of a lasting drift, and after it."""

BATCH, BATCHES = 50, 6
CLEAN = 40_000
LAX = 1e-3
"""At the budget's threshold there are too few false alarms to count."""

RESULT = WindowResult(
    stream="",
    reference="",
    span=WindowSpan(0, 0, 0, 0, ()),
    statistics={},
    p_values={},
    parts={},
    geometry={},
    moments={},
    effect_nats=0.0,
    drift=False,
    explanation="",
    excess=Excess((), (), ()),
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Episode:
    """A drift.

    Args:
        kind: the kind of drift.
        share: probability that a sample is foreign, for each sample of the stream.
        over: the number of the first sample after the drift.
        least: `min_effect`, as a share of the effect of windows of 500 within the drift; 0 for none.
    """

    kind: str
    share: FloatArray
    over: int
    least: float = 0.0


@dataclass(frozen=True)
class Found:
    """The results of a stream's windows, ``(steps, sizes)``; NaN where a window is not full yet."""

    p_values: Array
    effects: Array
    anytime: NDArray[np.bool_]


@dataclass(frozen=True)
class Life:
    """The alerts of one drift, and samples from its end to the end of the last alert, if that is later."""

    alerts: int
    late: int | None


def episodes() -> dict[str, Episode]:
    """All episodes, by description."""
    before, after = np.zeros(BEFORE), np.zeros(AFTER)

    def episode(kind: str, *parts: FloatArray, least: float = 0.0) -> Episode:
        return Episode(kind, np.concatenate([before, *parts, after]), BEFORE + sum(map(len, parts)), least)

    steady = {
        f"steady, {share:.0%}": episode("that last", np.full(LASTS, share))
        for share in (0.5, 0.35, 0.25, 0.18, 0.14, 0.1, 0.07)
    }
    slow = {
        f"slow, up to {share:.0%}": episode("that last", np.linspace(0.0, share, LASTS), np.full(2_000, share))
        for share in (1.0, 0.35, 0.18)
    }
    begun = {
        "25% from the start": Episode("that last", np.concatenate([np.full(LASTS, 0.25), after]), LASTS),
    }
    bursts = {f"burst of {length}": episode("bursts", np.ones(length)) for length in (20, 50, 100, 300)}
    batches = {
        f"batches of {BATCH}, one in {gap:,}": episode(
            "batches", np.tile(np.repeat([1.0, 0.0], [BATCH, gap - BATCH]), BATCHES)[: (BATCHES - 1) * gap + BATCH]
        )
        for gap in (500, 1_000, 2_000)
    }
    least = {
        f"steady, 35%, min_effect {least:g} of it": episode("about min_effect", np.full(LASTS, 0.35), least=least)
        for least in (0.8, 1.0, 1.2)
    }
    return {**steady, **slow, **begun, **bursts, **batches, **least}


class Material:
    """Samples of a reference and foreign samples, scored once.

    Args:
        reference: the reference that they are compared with.
        clean: samples of the reference's kind, ``(N, ...)``.
        foreign: foreign samples, ``(N, ...)``.
        budget: false-alarm budget, as in a configuration.
    """

    def __init__(self, reference: Reference, clean: Samples, foreign: Samples, budget: str) -> None:
        windows, alerts = WindowsConfig(sizes=list(SIZES), step=STEP), AlertsConfig(false_alarm_budget=budget)
        self.standard: Standard = standards_for(windows, alerts).standard(reference)
        scorer = Scorer(reference)
        self._clean = len(clean)
        self._summaries = np.concatenate([scorer.bank(clean), scorer.bank(foreign)])
        self._grades = grades(self._summaries[:, reference.layout.surprise].astype(np.float64))

    def stream(self, share: FloatArray, rng: Generator) -> Found:
        """Draw a stream and test its windows."""
        steps, foreign = len(share) // STEP, len(self._summaries) - self._clean
        rows = np.where(
            rng.random(len(share)) < share,
            self._clean + _endless(foreign, len(share), rng),
            _endless(self._clean, len(share), rng),
        )
        panes = self._summaries[rows].reshape(steps, STEP, -1).sum(1, dtype=np.float64)
        p_values, effects = np.full((2, steps, len(SIZES)), np.nan)
        for column, size in enumerate(SIZES):
            tested = self.standard.procedure.nulls[size].test(sliding_sums(panes, size // STEP))
            p_values[size // STEP - 1 :, column] = tested.p_values["combined"]
            effects[size // STEP - 1 :, column] = tested.effect
        return Found(p_values, effects, np.array(list(self._anytime(self._grades[rows].reshape(steps, STEP)))))

    def _anytime(self, found: NDArray[np.uint8]) -> Iterator[bool]:
        """Whether the anytime alarm is raised, at each step."""
        alarm = self.standard.alarm
        assert alarm is not None
        for state in alarm.advance(alarm.begin(), list(found)):
            yield state.held > 0


def generated(budget: str) -> Material:
    """Vectors in which one dimension shifts."""
    rng = np.random.default_rng(5)
    clean, foreign = rng.standard_normal((GENERATED, DIM)), rng.standard_normal((GENERATED // 2, DIM))
    foreign[:, 0] += MOVED
    return Material(reference_of(VectorSchema(dim=DIM), HELD_OUT), clean, foreign, budget)


def real(bundle: Path, data: Path, budget: str) -> Material:
    """Data that the bundle was not trained on; foreign are images upside down, or rows with permuted columns."""
    reference, dataset = load_reference(bundle), open_dataset(data)
    clean = next(dataset.chunks(reference.schema, rows=dataset.rows))
    some = clean[: len(clean) // 2]
    rng = np.random.default_rng(5)
    foreign = (
        some[..., ::-1, :].copy()
        if isinstance(reference.schema, ImageSchema)
        else np.stack([rng.permutation(column) for column in some.T], axis=1)
    )
    return Material(reference, clean, foreign, budget)


def rules(policy: Policy) -> Mapping[str, Policy]:
    """The rules that end alarms: the former one, the current one, and alternatives."""
    longest = max(SIZES) // STEP
    return {
        "3 tests above 0.01 (former rule)": replace(policy, patience=0),
        "current rule": policy,
        "above 0.1 instead of 0.2": replace(policy, calm=0.1),
        "above 0.5": replace(policy, calm=0.5),
        "patience of 1 longest window instead of 3": replace(policy, patience=longest),
        "patience of 6": replace(policy, patience=6 * longest),
        "half of min_effect instead of a quarter": replace(policy, ease=0.5),
        "resolve_after: 100": replace(policy, resolve_after=100),
    }


def live(policy: Policy, found: Found, over: int) -> Life:
    """The alerts of one stream under a policy."""
    spans, state = list[tuple[int, int]](), PolicyState()
    begun = 0
    tests = zip(found.p_values.tolist(), found.effects.tolist(), found.anytime.tolist(), strict=True)
    for number, (p_values, effects, anytime) in enumerate(tests):
        results = [
            replace(RESULT, p_values={"combined": p}, effect_nats=effect, drift=policy.drifted(p, effect))
            for p, effect in zip(p_values, effects, strict=True)
            if not np.isnan(p)
        ]
        if not results:
            continue
        before = state
        state, _ = advance(policy, before, results, anytime=anytime, full=len(results) == len(SIZES))
        if state.firing and not before.firing:
            begun = number + 1
        if before.firing and not state.firing:
            spans.append((begun, number + 1))
    if state.firing:
        spans.append((begun, len(found.anytime)))
    # A window that contains the drift's last samples may alarm after the drift has ended.
    of_drift = [end for begun, end in spans if STEP * begun <= over + SIZES[0]]
    late = STEP * of_drift[-1] - over if of_drift else 0
    return Life(len(of_drift), late if late > 0 else None)


def false_alarms(policy: Policy, streams: Sequence[Found]) -> tuple[int, float]:
    """The alarms that streams without drift raise at a lax threshold, and their mean length in samples."""
    lax, alarms, on = replace(policy, threshold=LAX), 0, 0
    for found in streams:
        state = PolicyState()
        for p_values, effects in zip(found.p_values[SIZES[-1] // STEP :], found.effects, strict=False):
            results = [
                replace(RESULT, p_values={"combined": p}, effect_nats=effect, drift=lax.drifted(p, effect))
                for p, effect in zip(p_values.tolist(), effects.tolist(), strict=True)
            ]
            before = state
            state, _ = advance(lax, before, results)
            alarms += state.firing and not before.firing
            on += state.firing
    return alarms, STEP * on / max(alarms, 1)


def main() -> None:
    """Print a row per drift: alerts, and samples from its end to the last resolution, by rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=40, help="streams per drift")
    parser.add_argument("--budget", default="1 per 1e6 samples")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    budget = options.budget
    material = real(options.bundle, options.data, budget) if options.bundle else generated(budget)
    chosen, rng = rules(material.standard.policy), np.random.default_rng(1)
    print(f"Threshold {material.standard.policy.threshold:.2g}. Alerts per drift (and samples to its resolution)\n")
    print(f"| drift | {' | '.join(chosen)} |\n| --- |{' ---: |' * len(chosen)}")
    kinds: dict[str, dict[str, list[Life]]] = {}
    for name, episode in episodes().items():
        streams = [material.stream(episode.share, rng) for _ in range(options.streams)]
        during = slice(BEFORE // STEP, episode.over // STEP)
        least = episode.least * float(np.median([each.effects[during, -1] for each in streams]))
        lives_by_rule = {
            rule: [live(replace(policy, min_effect=least), each, episode.over) for each in streams]
            for rule, policy in chosen.items()
        }
        print(f"| {name} | {' | '.join(map(_cell, lives_by_rule.values()))} |", flush=True)
        for rule, lives in lives_by_rule.items():
            kinds.setdefault(episode.kind, {}).setdefault(rule, []).extend(lives)
    for kind, by_rule in kinds.items():
        print(f"| all {kind} | {' | '.join(map(_cell, by_rule.values()))} |")
        once = [[life.alerts == 1 for life in lives if life.alerts] for lives in by_rule.values()]
        print(f"| share with exactly one alert | {' | '.join(f'{mean(each):.0%}' for each in once)} |")
    clean = [material.stream(np.zeros(CLEAN), rng) for _ in range(max(1, options.streams // 2))]
    cells = [
        f"{alarms}, on for {samples:.0f}" for alarms, samples in (false_alarms(each, clean) for each in chosen.values())
    ]
    print(f"| false alarms at p <= {LAX:g} | {' | '.join(cells)} |")


def _cell(lives: Sequence[Life]) -> str:
    """For detected drifts, the mean number of alerts, and the mean and 90th percentile of samples to the resolution."""
    alerts = [life.alerts for life in lives if life.alerts]
    late = [life.late for life in lives if life.late is not None]
    if not alerts:
        return "none"
    return f"{mean(alerts):.2f}" + (f" ({mean(late):.0f}, {np.percentile(late, 90):.0f})" if late else "")


def _endless(rows: int, count: int, rng: Generator) -> NDArray[np.int64]:
    """Row numbers: permutations of all rows, one after another."""
    return np.concatenate([rng.permutation(rows) for _ in range(-(-count // rows))])[:count]


if __name__ == "__main__":
    main()
