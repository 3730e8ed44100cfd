"""The schedule of a training: when it ends, and its learning rate until then."""

from __future__ import annotations

import math
from dataclasses import dataclass

from driftwatch.reference.train_config import TrainingConfig

FINAL_RATE = 0.02
WARMUP_SHARE = 0.1
TOLERATED_LEAD = 0.01
"""Share of the training by which time may be ahead of steps before the decay follows time. A machine that halts for a
moment, as before the first step, must not change the weights: the same data and steps give the same bundle."""


@dataclass(frozen=True)
class Schedule:
    """Warm-up, then cosine decay over the configured number of steps or minutes.

    Args:
        config: of the training.
    """

    config: TrainingConfig

    def share_done(self, step: int, elapsed_s: float) -> float:
        """The share of the training that is done, 1 at its end."""
        return max(self._shares(step, elapsed_s))

    def learning_rate(self, step: int, elapsed_s: float) -> float:
        """The learning rate of a step, which counts from 0."""
        config = self.config
        warmup = config.warmup_steps
        if config.max_steps is not None:
            warmup = min(warmup, int(WARMUP_SHARE * config.max_steps))
        warm = min(1.0, (step + 1) / (warmup + 1))
        by_time, by_steps = self._shares(step, elapsed_s)
        done = by_time if config.max_steps is None or by_time > by_steps + TOLERATED_LEAD else by_steps
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
        return config.learning_rate * warm * (FINAL_RATE + (1.0 - FINAL_RATE) * cosine)

    def _shares(self, step: int, elapsed_s: float) -> tuple[float, float]:
        """The shares that are done by time and by steps; 0 where there is no such limit."""
        config = self.config
        by_time = elapsed_s / (60 * config.minutes) if config.minutes is not None else 0.0
        by_steps = step / config.max_steps if config.max_steps is not None else 0.0
        return by_time, by_steps

    def seconds_left(self, step: int, elapsed_s: float) -> float:
        """Seconds until the end at the pace so far; NaN before the first step."""
        left = []
        if self.config.minutes is not None:
            left.append(60 * self.config.minutes - elapsed_s)
        if self.config.max_steps is not None and step:
            left.append((self.config.max_steps - step) * elapsed_s / step)
        return max(0.0, min(left)) if left else math.nan

    def ended_by(self, step: int) -> str:
        """The limit that ended a training which was not ended by `patience`."""
        return "max_steps" if self.config.max_steps is not None and step >= self.config.max_steps else "minutes"
