"""The martingale keeps its guarantee at any time, for any scores, and finds a drift whenever it starts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftwatch.stats.martingale import GRADES, LOG_POWERS, POWERS, Martingale, grades, start

PANE = 10


def play(calibration: np.ndarray, stream: np.ndarray) -> Martingale:
    return last(start(calibration), *np.split(stream, range(PANE, len(stream), PANE)))


def last(martingale: Martingale, *runs: np.ndarray) -> Martingale:
    *_, state = martingale.bet(runs)
    return state


def test_of_a_thousand_streams_without_drift_at_most_alpha_ever_alarm() -> None:
    rng = np.random.default_rng(0)
    alpha = 0.05
    deepest = []
    for _ in range(1_000):
        samples = grades(np.minimum(rng.exponential(size=1_200), 6.9))
        deepest.append(play(samples[:500], samples[500:]).deepest)
    alarms = int((np.array(deepest) >= -math.log(alpha)).sum())
    # Ville's bound is 50; and the bets are not so timid that nothing ever happens.
    assert 5 <= alarms <= 50


def test_ties_and_an_unexpected_distribution_give_no_gain() -> None:
    rng = np.random.default_rng(1)
    wealth = []
    for _ in range(300):
        samples = rng.choice(np.array([3, 4, 150], dtype=np.uint8), size=600, p=[0.5, 0.1, 0.4])
        wealth.append(math.exp(play(samples[:200], samples[200:]).log_wealth))
    assert np.mean(wealth) < 1.0 + 4 * np.std(wealth) / math.sqrt(300)


@pytest.mark.parametrize("before", [0, 5_000])
@pytest.mark.parametrize(("scale", "within"), [(3.0, 100), (1.5, 600), (0.6, 600)])
def test_a_drift_is_found_early_or_late(before: int, scale: float, within: int) -> None:
    rng = np.random.default_rng(2)
    calibration = grades(rng.exponential(size=3_000))
    stream = grades(np.concatenate([rng.exponential(size=before), scale * rng.exponential(size=within)]))
    assert play(calibration, stream[:before]).deepest < math.log(100)
    assert play(calibration, stream).deepest >= math.log(1_000)


def tie(number: int) -> float:
    """The tie-breaker of the score with a number: splitmix64 in arithmetic of unlimited size."""
    most = (1 << 64) - 1
    v = (number + 1) * 0x9E3779B97F4A7C15 & most
    v = (v ^ (v >> 30)) * 0xBF58476D1CE4E5B9 & most
    v = (v ^ (v >> 27)) * 0x94D049BB133111EB & most
    return ((v ^ (v >> 31)) >> 11 | 1) / (1 << 53)


@pytest.mark.parametrize("kinds", [1, 3, GRADES])
@pytest.mark.parametrize("scores", [1, 127, 128, 129, 300])
def test_a_score_is_ranked_among_all_before_it(kinds: int, scores: int) -> None:
    rng = np.random.default_rng(scores)
    calibration, stream = rng.integers(0, kinds, 500).astype(np.uint8), rng.integers(0, kinds, scores).astype(np.uint8)
    before, logs = calibration.tolist(), []
    for grade in stream.tolist():
        below, same = sum(each < grade for each in before), before.count(grade)
        logs.append(math.log((below + tie(len(before)) * (same + 1)) / (len(before) + 1)))
        before.append(grade)
    begun = start(calibration)
    gained = last(begun, stream).active - last(begun, stream[:0]).active
    assert gained == pytest.approx(scores * LOG_POWERS + (POWERS - 1.0) * sum(logs), rel=1e-9)


def test_the_state_after_a_run_does_not_depend_on_the_runs_it_is_ranked_with() -> None:
    rng = np.random.default_rng(4)
    begun = start(grades(rng.exponential(size=500)))
    runs = [grades(rng.exponential(size=size)) for size in rng.choice([0, 1, 10, 37, 128, 129, 300], 100)]
    together = [state.to_json() for state in begun.bet(runs)]
    for run, state in zip(runs, together, strict=True):
        begun = last(begun, run)
        assert begun.to_json() == state


def test_a_martingale_is_restored_from_json() -> None:
    rng = np.random.default_rng(3)
    calibration, stream = grades(rng.exponential(size=500)), grades(rng.exponential(size=100))
    before = play(calibration, stream)
    restored = Martingale.from_json(before.to_json())
    assert last(restored, stream[:10]).to_json() == last(before, stream[:10]).to_json()
    assert before.counts.sum() == 600


def test_grades_cover_all_p_values() -> None:
    found = grades(-np.log(np.linspace(1e-3, 1.0, 5_000)))
    assert (found.min(), found.max()) == (0, GRADES - 1)
