"""The anytime alarm of one stream: a martingale that bets on single samples, in addition to the windows.

When its wealth passes ``1 / alpha``, the alarm is active for as long as it takes to refill the longest window.
Meanwhile a new martingale starts from the calibration set, and prolongs the alarm if the drift continues.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from driftwatch.stats.martingale import Martingale, Ranks, start

NAME = "martingale"


@dataclass(frozen=True)
class AnytimeState:
    """What is remembered between panes.

    Args:
        martingale: the current one.
        seen: samples so far.
        held: samples for which the alarm remains active; 0 if it is not.
        passed: log of the wealth that triggered it, nats.
    """

    martingale: Martingale
    seen: int = 0
    held: int = 0
    passed: float = 0.0

    @property
    def log_wealth(self) -> float:
        """Log of the wealth that triggered the alarm while it is active, else of the current wealth, nats."""
        return self.passed if self.held else self.martingale.log_wealth

    @property
    def p_value(self) -> float:
        """An anytime-valid p-value: one over the largest wealth so far."""
        return math.exp(-max(self.passed if self.held else self.martingale.deepest, 0.0))

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "martingale": self.martingale.to_json(),
            "seen": self.seen,
            "held": self.held,
            "passed": self.passed,
        }

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> AnytimeState:
        """The inverse of `to_json`."""
        return AnytimeState(
            Martingale.from_json(fields["martingale"]),
            int(fields["seen"]),
            int(fields["held"]),
            float(fields["passed"]),
        )


@dataclass(frozen=True)
class AnytimeAlarm:
    """How a stream's samples are bet on.

    Args:
        calibration: grades of the calibration set, ``(N,)``.
        alpha: probability that a stream without drift ever triggers the alarm.
        hold: samples for which it stays active.
        every: bets are made on one in so many samples: enough apart to be independent, in streams with memory.
    """

    calibration: Ranks
    alpha: float
    hold: int
    every: int = 1

    @property
    def limit(self) -> float:
        """Log of the wealth that triggers the alarm, nats."""
        return -math.log(self.alpha)

    def begin(self) -> AnytimeState:
        """The state before the first sample."""
        return AnytimeState(start(self.calibration))

    def advance(self, state: AnytimeState, grades: Ranks) -> AnytimeState:
        """The state after the grades of a pane's samples, ``(n,)``, in order."""
        martingale = state.martingale.bet(grades[-state.seen % self.every :: self.every])
        seen, held = state.seen + len(grades), max(0, state.held - len(grades))
        if martingale.log_wealth < self.limit:
            return AnytimeState(martingale, seen, held, state.passed)
        return AnytimeState(start(self.calibration), seen, self.hold, martingale.log_wealth)
