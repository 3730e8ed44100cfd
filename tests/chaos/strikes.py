"""A series of faults, and how long each is felt."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos.faults import FAULTS, Hands, choose
from tests.chaos.feed import STREAMS, Feed
from tests.chaos.progress import Progress, Watch

RECOVERY_S = 300.0
"""After which a fault is not survived."""

CALM_S = 3.0
"""The longest time between a recovery and the next fault."""

HASTE = 0.25
"""The share of faults that are followed by the next one before there is a recovery."""


@dataclass(frozen=True)
class Struck:
    """A fault, and when windows covered samples sent after it, in every partition of every stream.

    Args:
        kind: of the fault.
        recovery_s: from its beginning; None if that never came.
        inside: whether a transaction of the process that it struck was open, as the broker tells it.
    """

    kind: str
    recovery_s: float | None
    inside: bool = False


def strike(
    hands: Hands,
    kinds: Sequence[str | None],
    feed: Feed,
    progress: Progress,
    *,
    limit_s: float,
    tell: Callable[[Struck], None],
) -> list[Struck]:
    """One fault after another, up to the first that is not survived, or until the time is up.

    Args:
        hands: that do it.
        kinds: of the faults; one that is None is drawn.
        feed: of samples, without a pause.
        progress: of windows.
        limit_s: after which there is no further fault.
        tell: is told of each fault, when it is over.
    """

    def watch() -> Watch:
        ends = feed.ends()
        return progress.watch({(stream, number): end for stream in STREAMS for number, end in ends.items()})

    struck: list[Struck] = []
    felt: list[tuple[str, Watch, bool]] = []
    watch().wait(RECOVERY_S, hands.fleet.check)
    began = time.monotonic()
    for number, stated in enumerate(kinds):
        kind = stated or choose(hands)
        watched = watch()
        felt.append((kind, watched, FAULTS[kind](hands)))
        last = number + 1 == len(kinds) or time.monotonic() - began > limit_s
        if last or hands.draw.random() >= HASTE:
            survived = all(each.wait(RECOVERY_S, hands.fleet.check) for _, each, _ in felt)
            for fault, each, inside in felt:
                struck.append(Struck(fault, each.seconds, inside))
                tell(struck[-1])
            felt.clear()
            if last or not survived:
                break
        hands.last(0.0, CALM_S)
    return struck
