"""The anytime alarm of one stream: a martingale that bets on its samples, beside the windows.

When its wealth passes ``1 / alpha`` the alarm is on for as long as it takes to fill the longest window anew; meanwhile
the gambler starts again from the calibration set, and prolongs the alarm if the drift goes on.
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
        martingale: that bets at present.
        seen: samples so far.
        held: samples for which the alarm is still on; 0 if it is off.
        passed: logarithm of the wealth that set it off, nats.
    """

    martingale: Martingale
    seen: int = 0
    held: int = 0
    passed: float = 0.0

    @property
    def log_wealth(self) -> float:
        """Of the alarm while it is on, else the present one, nats."""
        return self.passed if self.held else self.martingale.log_wealth

    @property
    def p_value(self) -> float:
        """An anytime-valid p-value, one over the largest wealth so far."""
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
    def from_json(told: Mapping[str, Any]) -> AnytimeState:
        """The inverse of `to_json`."""
        return AnytimeState(
            Martingale.from_json(told["martingale"]), int(told["seen"]), int(told["held"]), float(told["passed"])
        )


@dataclass(frozen=True)
class AnytimeAlarm:
    """How a stream's samples are bet on.

    Args:
        calibration: grades of the calibration set, ``(N,)``.
        alpha: chance that a stream without drift ever sets the alarm off.
        hold: samples for which it stays on.
        every: samples of which one is bet on: as many as it takes to forget, in streams with memory.
    """

    calibration: Ranks
    alpha: float
    hold: int
    every: int = 1

    @property
    def limit(self) -> float:
        """Logarithm of the wealth that sets the alarm off, nats."""
        return -math.log(self.alpha)

    def begin(self) -> AnytimeState:
        """Before the first sample."""
        return AnytimeState(start(self.calibration))

    def advance(self, state: AnytimeState, grades: Ranks) -> AnytimeState:
        """Takes the grades of a pane's samples, ``(n,)``, in their order."""
        martingale = state.martingale.bet(grades[-state.seen % self.every :: self.every])
        seen, held = state.seen + len(grades), max(0, state.held - len(grades))
        if martingale.log_wealth < self.limit:
            return AnytimeState(martingale, seen, held, state.passed)
        return AnytimeState(start(self.calibration), seen, self.hold, martingale.log_wealth)
