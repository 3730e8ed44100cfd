"""A chaos run's outcome as tables."""

from __future__ import annotations

import statistics

from rich.console import Group
from rich.table import Table

from tests.chaos.intake import IntakeOutcome
from tests.chaos.replay import ReplayOutcome
from tests.chaos.run import Outcome


def report_replay(outcome: ReplayOutcome) -> str:
    """A replay's faults by kind, and what came of them."""
    told = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.struck.items()))
    same = "is" if outcome.exact else "is not"
    return f"Replay: {told}; its state, with {outcome.alerts} alerts, {same} the oracle's"


def report_intake(outcome: IntakeOutcome) -> str:
    """An intake's faults by kind, and what came of them."""
    told = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.struck.items()))
    same = "are" if outcome.exact else "are not"
    return (
        f"Intake: {told}; of {outcome.accepted:,} accepted messages {outcome.forgotten:,} died with a process, up to "
        f"{outcome.oldest_s:.1f} s after they were accepted, and {outcome.left} were left by one that was stopped; the "
        f"states {same} the oracle's; of {outcome.alerts} alerts {outcome.untold} were not told, and {outcome.surplus} "
        "besides"
    )


def report(outcome: Outcome) -> Group:
    """Faults by kind with their recovery times, and each topic beside the oracle's."""
    faults = Table(title=f"Faults, seed {outcome.seed}: {outcome.seconds:.0f} s")
    for name in ("fault", "struck", "in a transaction", "survived", "median recovery", "worst"):
        faults.add_column(name, justify="left" if name == "fault" else "right")
    kinds = sorted({each.kind for each in outcome.struck})
    for kind in [*kinds, None]:
        chosen = [each for each in outcome.struck if kind in (each.kind, None)]
        times = [each.recovery_s for each in chosen if each.recovery_s is not None]
        inside = sum(each.inside for each in chosen)
        told = (f"{statistics.median(times):.1f} s", f"{max(times):.1f} s") if times else ("", "")
        faults.add_row(
            kind or "all", str(len(chosen)), str(inside), str(len(times)), *told, end_section=kind == kinds[-1]
        )
    topics = Table(title="What a read_committed reader finds, beside the oracle")
    for name in ("topic", "expected", "lost", "repeated", "foreign", "displaced"):
        topics.add_column(name, justify="left" if name == "topic" else "right")
    for each in outcome.comparisons:
        numbers = (each.expected, each.lost, each.repeated, each.foreign, each.displaced)
        topics.add_row(each.what, *(f"{number:,}" for number in numbers))
    told = ", ".join(f"{name} {count}" for name, count in sorted(outcome.fenced.items()))
    return Group(
        faults,
        topics,
        f"Commits refused to replicas that had been replaced: {told or 'none'}",
        f"Another reference took its turn {outcome.turns} times in a stream's panes of a partition",
    )
