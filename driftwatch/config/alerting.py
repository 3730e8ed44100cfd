"""What is tested, and when an alert fires."""

from __future__ import annotations

import math
import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from driftwatch.config.durations import Duration, duration_ms
from driftwatch.config.http import check_url
from driftwatch.settings import Settings

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "week": 604800.0}
_NUMBER = r"[0-9][0-9_,]*(?:\.[0-9]+)?(?:[eE]\+?[0-9]+)?"
_BUDGET = re.compile(
    rf"(?P<alarms>{_NUMBER})\s+per\s+(?:(?P<amount>{_NUMBER})\s+)?"
    rf"(?P<unit>sample|second|minute|hour|day|week)s?(?:\s+at\s+(?P<rate>{_NUMBER})\s+samples?/s)?"
)
_SMALLEST_BUDGET = 100.0

TICKS, MOST_TICKS = 10, 600
"""Ticks in the shortest window by time, and the most in the longest."""


def parse_false_alarm_budget(text: str) -> float:
    """Return the average number of samples between two false alarms.

    >>> parse_false_alarm_budget("1 per 1e6 samples")
    1000000.0
    >>> parse_false_alarm_budget("2 per week at 50 samples/s")
    15120000.0

    Raises:
        ValueError: the text is not a budget, or allows more than one false alarm in 100 samples.
    """
    match = _BUDGET.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is not a budget; write it like '1 per 1e6 samples' or '1 per 7 days at 100 samples/s'"
        )
    alarms, amount, rate = (
        float((match[group] or default).replace(",", "").replace("_", ""))
        for group, default in (("alarms", "1"), ("amount", "1"), ("rate", "0"))
    )
    if match["unit"] == "sample":
        if match["rate"]:
            raise ValueError(f"{text!r} states a rate, which a budget in samples does not need")
        samples = amount
    elif rate == 0.0:
        raise ValueError(f"{text!r} needs the stream's rate; write it like '1 per 7 days at 100 samples/s'")
    else:
        samples = amount * _SECONDS[match["unit"]] * rate
    budget = samples / alarms if alarms else math.inf
    if not _SMALLEST_BUDGET <= budget < math.inf:
        raise ValueError(
            f"{text!r} must allow some false alarms, and no more than one in {_SMALLEST_BUDGET:.0f} samples"
        )
    return budget


def _check_budget(text: str) -> str:
    parse_false_alarm_budget(text)
    return text


class WindowsConfig(Settings):
    """The sliding windows that are tested: by count, in samples, and by event time; and the step in samples."""

    sizes: Annotated[
        list[Annotated[int, Field(ge=2, le=1_000_000)] | Duration],
        Field(min_length=1, max_length=8, description="numbers of samples, then lengths of time, such as 5m"),
    ] = Field(default_factory=lambda: list[int | Duration]((50, 500)))
    step: Annotated[int, Field(ge=1, le=100_000, description="samples between two tests, and in a pane")] = 10
    out_of_order: Annotated[
        Duration, Field(description="for windows by time: how late samples may come after newer ones")
    ] = "10s"

    @property
    def counts(self) -> list[int]:
        """Sizes in samples."""
        return [size for size in self.sizes if isinstance(size, int)]

    @property
    def times_ms(self) -> dict[str, int]:
        """Sizes by event time: milliseconds by name."""
        return {size: duration_ms(size) for size in self.sizes if isinstance(size, str)}

    @property
    def tick_ms(self) -> int | None:
        """Time between two tests of windows by time, milliseconds; None without such windows."""
        return min(self.times_ms.values(), default=0) // TICKS or None

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        times = self.times_ms
        if self.sizes != [*sorted(set(self.counts)), *sorted(times, key=lambda size: times[size])]:
            raise ValueError(f"sizes {self.sizes} should ascend without repetition, numbers of samples first")
        if not self.counts:
            raise ValueError("sizes need at least one in samples, beside those by time")
        if self.tick_ms and max(times.values()) > MOST_TICKS * self.tick_ms:
            raise ValueError(f"sizes by time should be no more than {MOST_TICKS // TICKS} times the shortest")
        uneven = [size for size, length_ms in times.items() if self.tick_ms and length_ms % self.tick_ms]
        if uneven:
            raise ValueError(f"sizes {uneven} should be multiples of a tenth of the shortest, {next(iter(times))}")
        return self

    @model_validator(mode="after")
    def _in_steps(self) -> Self:
        wrong = [size for size in self.counts if size % self.step or size <= self.step]
        if wrong:
            raise ValueError(
                f"sizes {wrong} should be multiples of step {self.step} and larger than it, "
                f"for example {max(2, round(wrong[0] / self.step)) * self.step}"
            )
        return self


class ExamplesConfig(Settings):
    """Which samples of a window an alert points to: some farthest from the reference, and some nearest to it."""

    count: Annotated[int, Field(ge=0, le=8, description="of each kind, by topic, partition, offset and row")] = 3
    include_samples: Annotated[
        bool, Field(description="whether the panes topic, alerts and sinks get the samples themselves")
    ] = False


class AlertsConfig(Settings):
    """When an alert fires, how severe it is, and when it is resolved."""

    false_alarm_budget: Annotated[
        str,
        AfterValidator(_check_budget),
        Field(description="alarms allowed without drift, such as 1 per 1e6 samples or 1 per week at 50 samples/s"),
    ] = "1 per 1e6 samples"
    min_effect: Annotated[float, Field(ge=0, description="nats per sample below which no alert fires")] = 0.0
    anytime_alpha: Annotated[
        float,
        Field(
            ge=0,
            le=0.5,
            description="probability that a stream without drift ever triggers the anytime alarm; 0 for no such alarm",
        ),
    ] = 1e-3
    resolve_after: Annotated[
        int, Field(ge=1, le=10_000, description="consecutive tests without a drifting window that resolve an alert")
    ] = 3
    severity: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")], Annotated[float, Field(ge=0)]],
        Field(min_length=1, max_length=8, description="level: smallest effect in nats per sample"),
    ] = Field(default_factory=lambda: {"warning": 0.0, "critical": 5.0})

    quiet_after: Annotated[
        Duration | None,
        Field(description="how long a stream may be silent before an alert says so; null for no limit"),
    ] = None
    examples: ExamplesConfig = ExamplesConfig()
    runbook_url: Annotated[
        str | None, AfterValidator(lambda url: url and check_url(url)), Field(description="of instructions, in alerts")
    ] = None

    @property
    def budget_samples(self) -> float:
        """The average number of samples between two false alarms."""
        return parse_false_alarm_budget(self.false_alarm_budget)

    @property
    def least_severity(self) -> str:
        """The level of the smallest effects, and of alerts that have no effect."""
        return min(self.severity, key=lambda name: self.severity[name])

    @model_validator(mode="after")
    def _every_alert_has_a_level(self) -> Self:
        lowest = min(self.severity.values())
        if lowest > self.min_effect:
            raise ValueError(
                f"severity starts at {lowest:g} nats, above min_effect {self.min_effect:g}: "
                "an alert between them would have no level; lower the first level"
            )
        return self
