"""A record of the demo, sample by sample, for the plot and the terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from driftwatch.stream.alert import Alert
from driftwatch.stream.events import AlertRaised, Event, SamplesScored, StreamState, WindowTested
from driftwatch.stream.results import WindowResult


@dataclass
class Tested:
    """Results of one window: number of its newest sample, p-value, mean NLL (nats) and effect (nats)."""

    sample: int
    p_value: float
    nll: float
    effect: float


@dataclass
class Chronicle:
    """Records the events of the stages.

    Args:
        on_alert: called with each alert and the number of the newest sample.
    """

    on_alert: Callable[[Alert, int], None]
    scores: list[float] = field(default_factory=list)
    windows: dict[int, list[Tested]] = field(default_factory=dict)
    alerts: list[tuple[Alert, int]] = field(default_factory=list)
    threshold: float = 0.0
    firing: bool = False

    @property
    def samples(self) -> int:
        """The number of samples scored so far."""
        return len(self.scores)

    def __call__(self, event: Event) -> None:
        """Record an event."""
        match event:
            case SamplesScored():
                self.scores += event.scores.tolist()
            case WindowTested(result=WindowResult(size=int(size)) as result):
                tested = Tested(self.samples, result.p_value, result.statistics["nll"], result.effect_nats)
                self.windows.setdefault(size, []).append(tested)
            case StreamState():
                self.threshold, self.firing = event.threshold, event.firing
            case AlertRaised(alert=Alert() as alert):
                self.alerts.append((alert, self.samples))
                self.firing = alert.state == "firing"
                self.on_alert(alert, self.samples)
