"""A series of faults, and how long each one's effect lasts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos.faults import FAULTS, Testbed, choose
from tests.chaos.feed import STREAMS, Feed
from tests.chaos.progress import Progress, Watch

RECOVERY_S = 300.0
"""A fault without a recovery by then is not survived."""

LONGEST_CALM_S = 3.0
"""The longest time between a recovery and the next fault."""

OVERLAPPING_SHARE = 0.25
"""The share of faults that are followed by the next one before a recovery."""


@dataclass(frozen=True)
class Struck:
    """A fault, and when windows covered samples that were sent after it, in every partition of every stream.

    Args:
        kind: of the fault.
        recovery_s: since its beginning; None if that never happened.
        inside: whether the process that was struck had an open transaction, according to the brokers.
    """

    kind: str
    recovery_s: float | None
    inside: bool = False


def strike(
    bed: Testbed,
    kinds: Sequence[str | None],
    feed: Feed,
    progress: Progress,
    *,
    limit_s: float,
    on_fault: Callable[[Struck], None],
) -> list[Struck]:
    """Strike one fault after another, up to the first that is not survived, or until the time is up.

    Args:
        bed: what the faults act on.
        kinds: of the faults, None for one to be drawn.
        feed: of samples, without a pause.
        progress: of windows.
        limit_s: no fault is started after that time.
        on_fault: called after each fault.
    """

    def watch() -> Watch:
        ends = feed.ends()
        return progress.watch({(stream, number): end for stream in STREAMS for number, end in ends.items()})

    struck: list[Struck] = []
    unrecovered: list[tuple[str, Watch, bool]] = []
    watch().wait(RECOVERY_S, bed.fleet.check)
    began = time.monotonic()
    for number, wanted_kind in enumerate(kinds):
        kind = wanted_kind or choose(bed)
        recovery = watch()
        unrecovered.append((kind, recovery, FAULTS[kind](bed)))
        final = number + 1 == len(kinds) or time.monotonic() - began > limit_s
        if final or bed.draw.random() >= OVERLAPPING_SHARE:
            survived = all(each.wait(RECOVERY_S, bed.fleet.check) for _, each, _ in unrecovered)
            for fault, each, inside in unrecovered:
                struck.append(Struck(fault, each.seconds, inside))
                on_fault(struck[-1])
            unrecovered.clear()
            if final or not survived:
                break
        bed.pause_between(0.0, LONGEST_CALM_S)
    return struck
