"""The anytime alarm of one stream: a martingale that bets on single samples, in addition to the windows.

When its wealth passes ``1 / alpha``, the alarm is active for as long as it takes to refill the longest window.
Meanwhile a new martingale starts from the calibration set, and prolongs the alarm if the drift continues.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
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

    def advance(self, state: AnytimeState, panes: Sequence[Ranks]) -> Iterator[AnytimeState]:
        """Bet on the grades of the samples of several panes, ``(n,)`` each, in order.

        Yields:
            the state after each pane.
        """
        after = 0
        while after < len(panes):
            rest = panes[after:]
            bets = state.martingale.bet(self._bet_on(rest, state.seen))
            for grades, martingale in zip(rest, bets, strict=True):
                after += 1
                triggered = martingale.log_wealth >= self.limit
                state = AnytimeState(
                    martingale=start(self.calibration) if triggered else martingale,
                    seen=state.seen + len(grades),
                    held=self.hold if triggered else max(0, state.held - len(grades)),
                    passed=martingale.log_wealth if triggered else state.passed,
                )
                yield state
                if triggered:  # a new martingale bets on the rest
                    break

    def _bet_on(self, panes: Sequence[Ranks], seen: int) -> Iterator[Ranks]:
        """The grades of each pane that are bet on, after `seen` samples."""
        for grades in panes:
            yield grades[-seen % self.every :: self.every]
            seen += len(grades)
