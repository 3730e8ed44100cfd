"""How close the combined statistic comes to each shift's best single detector, and to an oracle that knows the shifts.

Given the shifts, the best way to combine statistics is by their likelihood ratios, each weighted by how far it lags
behind. A small network learns the ratios on one half of the test data, multiplicative updates find the weights, and the
other half is judged. No rule that combines these statistics can do better than this oracle.

python -m benchmarks.detection.joined flights out/detection/full/flights --sizes 5,50
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch.nn.functional import cross_entropy

from benchmarks.detection.__main__ import FULL, materials
from benchmarks.detection.bootstrap import auroc_interval
from benchmarks.detection.windows import draw
from driftwatch.reference.evaluation import auroc
from driftwatch.reference.loading import load_reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.combination import fit_combination
from driftwatch.stats.null import DETECTORS, Features, WindowNull, by_name, features
from driftwatch.stats.resample import null_windows
from driftwatch.stats.summary import Array

WINDOWS, NULL, AT_ONCE = 3_000, 20_000, 250
"""Windows per shift and half of the data (twice as many unshifted), of the null, and summed at once."""

HARD = (0.55, 0.999)
"""Shifts are judged if the best detector's AUROC is between these: others are at chance, or found by every rule."""

EPOCHS, HIDDEN, BATCH, NETWORKS = 25, 48, 1_024, 2
UPDATES, STEP = 400, 15.0


@dataclass(frozen=True)
class Half:
    """Windows of one half of the test data.

    Args:
        plain: surprises of all statistics in windows without a shift, ``(M, J)``.
        moved: the same for the windows of each shift.
    """

    plain: Array
    moved: list[Array]


Rule = Callable[[Array], Array]


def ratios(half: Half, seed: int) -> Rule:
    """A rule that gives the log-likelihood ratios of all shifts, ``(M, S)``: a network trained on one half."""
    torch.manual_seed(seed)
    sets = [half.plain, *half.moved]
    x = torch.tensor(np.log(np.concatenate(sets) + 0.05), dtype=torch.float32)
    y = torch.repeat_interleave(torch.arange(len(sets)), torch.tensor([len(each) for each in sets]))
    mean, scale = x.mean(0), x.std(0) + 1e-9
    net = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], HIDDEN), torch.nn.GELU(), torch.nn.Linear(HIDDEN, HIDDEN), torch.nn.GELU(),
        torch.nn.Linear(HIDDEN, len(sets)),
    )  # fmt: skip
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=EPOCHS * (len(x) // BATCH + 1))
    even = 1.0 / torch.bincount(y)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimiser.zero_grad()
            cross_entropy(net((x[rows] - mean) / scale), y[rows], weight=even).backward()
            optimiser.step()
            schedule.step()

    @torch.inference_mode()
    def rule(surprises: Array) -> Array:
        inputs = torch.tensor(np.log(surprises + 0.05), dtype=torch.float32)
        out = net(((inputs - mean) / scale).clamp(-6, 6)).double().numpy()
        return np.asarray(out[:, 1:] - out[:, :1])

    return rule


def weights(ratio: Rule, half: Half, best: Array) -> Array:
    """The weights of the shifts' likelihood ratios that minimise the largest gap to the best detectors."""
    plain, moved = np.exp(ratio(half.plain)), [np.exp(ratio(each)) for each in half.moved]
    now = np.full(len(best), 1.0 / len(best))
    least, kept = np.inf, now
    for update in range(UPDATES):
        score = plain @ now
        gaps = best - np.array([auroc(score, each @ now) for each in moved])
        if gaps.max() < least:
            least, kept = float(gaps.max()), now
        now = now * np.exp(STEP * gaps / (1.0 + update / 100) ** 0.5)
        now = np.maximum(now / now.sum(), 1e-5)
    return kept


def measured(null: WindowNull, scorer: Scorer) -> Callable[[Features], Array]:
    """The surprise of every window statistic, ``(M, J)``: the combined statistic and the detectors come first."""
    reference, window_statistics = scorer.reference, null.statistics
    drawn = null_windows(reference.held_out, reference.layout, null.size, count=NULL, seed=11)

    def statistics(of: Features) -> Array:
        detectors = window_statistics(of)
        known = by_name(detectors, of, window_statistics.groups)
        return np.column_stack([known[name] for name in (*DETECTORS, *sorted({*known} - {*DETECTORS}))])

    fitted = fit_combination(statistics(drawn), ())

    def surprises(of: Features) -> Array:
        values = statistics(of)[:, fitted.columns]
        return np.column_stack([-np.log(tail.p_value(each)) for tail, each in zip(fitted.tails, values.T, strict=True)])

    return surprises


def halves(name: str, scorer: Scorer, size: int) -> tuple[list[str], list[Half]]:
    """The shifts of a material, and windows from both halves of its test data."""
    material = materials(FULL, quick=False)[name]()
    reference = scorer.reference

    def bank(raw: object) -> Array:
        return scorer.bank(reference.schema.coerce(raw)).astype(np.float64)

    fresh = bank(material.fresh)
    shifts = {k: s for k, s in material.shifts(lambda raw: float(bank(raw)[:, 2].mean())).items() if size in s.sizes}
    surprises = measured(reference.window_null(size), scorer)
    rng, found = np.random.default_rng(5), []
    banks = {k: bank(shift.samples) for k, shift in shifts.items()}
    for half in (0, 1):
        plain = fresh[half::2]

        def windows(pool: Array, rows: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> Array:
            sums = [pool[rows[start : start + AT_ONCE]].sum(1) for start in range(0, len(rows), AT_ONCE)]
            return np.concatenate([surprises(features(each, reference.layout)) for each in sums])

        moved = []
        for k, shift in shifts.items():
            foreign = banks[k][half::2]
            rows = draw(rng, len(plain), len(foreign), size, WINDOWS, shift.share)
            moved.append(windows(np.concatenate([plain, foreign]), rows))
        found.append(Half(windows(plain, draw(rng, len(plain), 0, size, 2 * WINDOWS, 0.0)), moved))
    return list(shifts), found


def judged(shifts: Sequence[str], found: Sequence[Half]) -> None:
    """Learn on each half, judge on the other, and print the averages."""
    single = slice(1, len(DETECTORS))
    alone = np.array(
        [
            [[auroc(half.plain[:, j], each[:, j]) for j in range(len(DETECTORS))] for each in half.moved]
            for half in found
        ]
    )
    best = alone[:, :, single].max(2)
    hard = (best.mean(0) > HARD[0]) & (best.mean(0) < HARD[1])
    halves = [Half(half.plain, [each for each, kept in zip(half.moved, hard, strict=True) if kept]) for half in found]
    names = [name for name, kept in zip(shifts, hard, strict=True) if kept]
    oracles = np.empty((2, len(names)))
    lag = []
    for learnt, other in ((0, 1), (1, 0)):
        inputs = [Half(half.plain[:, 1:], [each[:, 1:] for each in half.moved]) for half in halves]
        networks = [ratios(inputs[learnt], seed) for seed in range(NETWORKS)]

        def ratio(surprises: Array, networks: list[Rule] = networks) -> Array:
            return np.asarray(np.mean([network(surprises) for network in networks], axis=0))

        weight = weights(ratio, inputs[learnt], best[learnt][hard])
        plain = np.exp(ratio(inputs[other].plain)) @ weight
        intervals = [auroc_interval(plain, np.exp(ratio(each)) @ weight) for each in inputs[other].moved]
        oracles[other] = [interval.value for interval in intervals]
        lag.append(max(intervals, key=lambda interval: interval.high - interval.low))
    rates = np.column_stack([best[:, hard].mean(0), alone[:, hard, 0].mean(0), oracles.mean(0)])
    for name, (detector, ours, oracle) in zip(names, 100 * rates, strict=True):
        print(f"  {name:32s} best detector {detector:5.1f}  combined {ours:5.1f}  oracle {oracle:5.1f}")
    gaps, wide = 100 * (rates[:, :1] - rates[:, 1:]).max(0), 50 * max(each.high - each.low for each in lag)
    print(f"  largest gap: combined {gaps[0]:.1f}, oracle {gaps[1]:.1f} (each AUROC +- {wide:.1f} at most)")


def main(
    material: Annotated[str, typer.Argument(help="A part of benchmarks.detection.")],
    bundle: Annotated[Path, typer.Argument(help="Its trained reference.")],
    sizes: Annotated[str, typer.Option(help="Samples in a window, separated by commas.")] = "5,50",
) -> None:
    """Measure the gap between the combined statistic and the best detector of each shift."""
    torch.set_num_threads(1)
    scorer = Scorer(load_reference(bundle))
    for size in map(int, sizes.split(",")):
        print(f"{material}, windows of {size}", flush=True)
        judged(*halves(material, scorer, size))


if __name__ == "__main__":
    typer.run(main)
