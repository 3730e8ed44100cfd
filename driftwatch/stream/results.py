"""The result of testing one window, as data and as the message on the windows topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from driftwatch.stats.decomposition import PARTS
from driftwatch.stream.alert import WindowSpan


class Excess(NamedTuple):
    """What one part of the divergence has beyond chance in one latent block.

    Args:
        nats: per sample; negative where there is less than chance.
        deviations: by how many standard deviations of chance the part is off.
    """

    nats: float
    deviations: float


def excess(
    blocks: Sequence[str], nats: Sequence[Sequence[float]], deviations: Sequence[Sequence[float]]
) -> dict[str, dict[str, Excess]]:
    """By block and part, from rows of each block's parts, ``(S, 3)``."""
    return {
        block: {part: Excess(*both) for part, *both in zip(PARTS, *of_block, strict=True)}
        for block, *of_block in zip(blocks, nats, deviations, strict=True)
    }


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a window shows beside its reference.

    Args:
        statistics: of each detector.
        p_values: of each detector.
        parts: of each block, its location, scale and dependence in nats per sample.
        geometry: cosine, location, axes and radius of the latents.
        moments: Hotelling's T-squared of each group of descriptors.
        effect_nats: debiased divergence, nats per sample.
        explanation: what moved most, in words.
        excess: of `parts`, for people who look at it now; no part of a message.
        groups: by how many standard deviations of chance each group of descriptors is off; likewise.
    """

    statistics: Mapping[str, float]
    p_values: Mapping[str, float]
    parts: Mapping[str, Mapping[str, float]]
    geometry: Mapping[str, float]
    moments: Mapping[str, float]
    effect_nats: float
    explanation: str
    excess: Mapping[str, Mapping[str, Excess]] = field(default_factory=dict)
    groups: Mapping[str, float] = field(default_factory=dict)

    @property
    def p_value(self) -> float:
        """Of the combined detector."""
        return self.p_values["combined"]


@dataclass(frozen=True, kw_only=True)
class WindowResult(Findings):
    """One tested window of one stream.

    Args:
        stream: its name.
        reference: version of the reference it was tested against.
        span: size, samples, event time and offsets of the window.
        drift: whether the window is an alarm under the policy.
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
        """Deterministic JSON: equal results are equal bytes."""
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
