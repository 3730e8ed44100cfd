"""The result of testing one window, as data and as a message of the windows topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from driftwatch.stream.alert import WindowSpan


class Excess(NamedTuple):
    """How far a window is beyond what chance explains. For display only: not part of its message.

    Args:
        nats: what `Findings.parts` exceed chance by, nats per sample, a row of `PARTS` for each block; negative where
            they are below chance.
        deviations: the same in standard deviations of chance.
        groups: deviation of each group of `Findings.moments`, likewise.
    """

    nats: Sequence[Sequence[float]]
    deviations: Sequence[Sequence[float]]
    groups: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """How a window compares with its reference.

    Args:
        statistics: by detector.
        p_values: by detector.
        parts: location, scale and dependence by block, nats per sample.
        geometry: cosine, location, axes and radius of the latents.
        moments: Hotelling's T-squared by group of descriptors.
        effect_nats: debiased divergence, nats per sample.
        explanation: what moved most, in words.
        excess: of the window over chance.
    """

    statistics: Mapping[str, float]
    p_values: Mapping[str, float]
    parts: Mapping[str, Mapping[str, float]]
    geometry: Mapping[str, float]
    moments: Mapping[str, float]
    effect_nats: float
    explanation: str
    excess: Excess

    @property
    def p_value(self) -> float:
        """The combined detector's p-value."""
        return self.p_values["combined"]


@dataclass(frozen=True, kw_only=True)
class WindowResult(Findings):
    """One tested window of one stream.

    Args:
        stream: its name.
        reference: version of the reference it was tested against.
        span: size, samples, event time and offsets of the window.
        drift: whether the window alarms under the policy.
    """

    stream: str
    reference: str
    span: WindowSpan
    drift: bool

    @property
    def size(self) -> int | str:
        """The configured window size, in samples or as a length of time."""
        return self.span.size

    @property
    def end_ms(self) -> int:
        """Event time of the newest sample, milliseconds since the epoch."""
        return self.span.end_ms

    def to_json(self) -> bytes:
        """Deterministic JSON: equal results give equal bytes."""
        return orjson.dumps(
            {
                "stream": self.stream,
                "reference": self.reference,
                "window": self.span.to_json(),
                "statistics": self.statistics,
                "p_values": self.p_values,
                "parts": self.parts,
                "geometry": self.geometry,
                "moments": self.moments,
                "effect_nats": self.effect_nats,
                "drift": self.drift,
                "explanation": self.explanation,
            },
            option=orjson.OPT_SORT_KEYS,
            default=dict,
        )
