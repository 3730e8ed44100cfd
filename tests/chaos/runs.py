"""Which reference scored what of a stream: when each replica took one up is not the input log's to say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from driftwatch.stream.panes import Pane
from driftwatch.stream.positions import Mark


@dataclass(frozen=True)
class Run:
    """Samples of a stream and partition in a row that are scored by one reference.

    Args:
        reference: version of it; None for that which is configured.
        after: the last sample before them; None at the beginning.
        begun: how many samples of their first slice are in panes already.
        last: of them; None if there is no end to them.
        closed_by: offset of the message that ended their last pane, where that is a piece of a slice that goes on.
    """

    reference: str | None = None
    after: Mark | None = None
    begun: int = 0
    last: Mark | None = None
    closed_by: int | None = None


def runs_of(panes: Iterable[Pane], step: int) -> Mapping[str, list[Run]]:
    """By stream and partition, the runs in which panes came.

    Args:
        panes: those of a stream and partition in their order.
        step: samples in a slice.
    """
    found: dict[str, list[Pane]] = {}
    for pane in panes:
        found.setdefault(pane_key(pane), []).append(pane)
    return {key: _runs(each, step) for key, each in found.items()}


def pane_key(pane: Pane) -> str:
    """Within which panes have an order that the input log and the references decide."""
    return f"{pane.stream}/{pane.partition}"


def _runs(panes: list[Pane], step: int) -> list[Run]:
    runs, begun, run = list[Run](), 0, Run(panes[0].reference)
    for pane, following in zip(panes, [*panes[1:], None], strict=True):
        samples = begun + pane.n
        begun = samples if pane.unfinished else 0
        closed_short = not pane.unfinished and samples < step
        if closed_short or (following and following.reference != pane.reference):
            closed_by = following.first[0] if following and pane.unfinished else None
            runs.append(Run(pane.reference, run.after, run.begun, pane.last, closed_by))
            run = Run(following.reference if following else pane.reference, pane.last, begun)
    return [*runs, run]
