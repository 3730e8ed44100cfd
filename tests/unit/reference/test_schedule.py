"""The learning-rate schedule: warm-up, decay, and the end."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from driftwatch.reference.schedule import FINAL_RATE, Schedule
from driftwatch.reference.train_config import TrainingConfig


def schedule(**settings: Any) -> Schedule:
    return Schedule(TrainingConfig(**{"learning_rate": 1.0, "warmup_steps": 10, **settings}))


def test_the_rate_rises_then_falls() -> None:
    steps = schedule(minutes=None, max_steps=1_000)
    rates = [steps.learning_rate(step, 0.0) for step in range(1_000)]
    assert rates[0] == pytest.approx(1 / 11, rel=0.01)
    assert max(rates) == pytest.approx(1.0, rel=0.01)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(FINAL_RATE, rel=0.01)


def test_the_rate_falls_with_time_if_only_time_is_limited() -> None:
    timed = schedule(minutes=1.0)
    assert timed.learning_rate(50, 30.0) == pytest.approx(FINAL_RATE + (1 - FINAL_RATE) / 2)
    assert timed.share_done(50, 60.0) == 1.0


def test_a_short_training_warms_up_in_a_tenth_of_its_steps() -> None:
    assert schedule(minutes=None, max_steps=20, warmup_steps=200).learning_rate(3, 0.0) > 0.9


def test_the_first_limit_reached_ends_the_training() -> None:
    both = schedule(minutes=1.0, max_steps=100)
    assert both.share_done(100, 1.0) == 1.0
    assert both.ended_by(100) == "max_steps"
    assert both.share_done(1, 60.0) == 1.0
    assert both.ended_by(1) == "minutes"


def test_the_time_left_is_estimated_from_time_or_steps() -> None:
    assert schedule(minutes=1.0).seconds_left(5, 20.0) == 40.0
    assert schedule(minutes=None, max_steps=100).seconds_left(25, 5.0) == pytest.approx(15.0)
    assert schedule(minutes=1.0, max_steps=100).seconds_left(25, 5.0) == pytest.approx(15.0)
    assert math.isnan(schedule(minutes=None, max_steps=100).seconds_left(0, 0.0))


def test_a_short_halt_of_the_machine_does_not_change_the_rate_of_steps() -> None:
    both = schedule(minutes=15, max_steps=60)
    assert [both.learning_rate(step, 5.0 + step) for step in range(60)] == [
        both.learning_rate(step, 0.0) for step in range(60)
    ]
    assert both.learning_rate(6, 450.0) < 0.6 < both.learning_rate(6, 0.0), "but running out of time does"
