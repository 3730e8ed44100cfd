"""Which reference scored which samples of a stream: the input log alone does not say when a replica changed to one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from driftwatch.stream.panes import Pane
from driftwatch.stream.positions import Mark


@dataclass(frozen=True)
class Run:
    """Consecutive samples of a stream and partition that are scored by one reference.

    Args:
        reference: its version; None for the configured one.
        after: the last sample before the run; None at the beginning.
        begun: how many samples of the run's first slice are already in panes.
        last: the last sample; None if the run does not end.
        closed_by: offset of the message that ended the last pane, if that pane is a part of a slice that continues.
    """

    reference: str | None = None
    after: Mark | None = None
    begun: int = 0
    last: Mark | None = None
    closed_by: int | None = None


def runs_of(panes: Iterable[Pane], step: int) -> Mapping[str, list[Run]]:
    """By stream and partition, the runs in which panes were scored.

    Args:
        panes: those of a stream and partition are in order.
        step: samples in a slice.
    """
    found: dict[str, list[Pane]] = {}
    for pane in panes:
        found.setdefault(pane_key(pane), []).append(pane)
    return {key: _runs(each, step) for key, each in found.items()}


def pane_key(pane: Pane) -> str:
    """The key within which the input log and the references determine the order of panes."""
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
