"""The outcome of a chaos run as tables."""

from __future__ import annotations

import statistics

from rich.console import Group
from rich.table import Table

from tests.chaos.intake import IntakeOutcome
from tests.chaos.replay import ReplayOutcome
from tests.chaos.run import Outcome


def report_replay(outcome: ReplayOutcome) -> str:
    """A replay's faults by kind, and their outcome."""
    faults = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.struck.items()))
    verdict = "equals" if outcome.exact else "does not equal"
    return f"Replay: {faults}; its state, with {outcome.alerts} alerts, {verdict} the oracle's"


def report_intake(outcome: IntakeOutcome) -> str:
    """An intake's faults by kind, and their outcome."""
    faults = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.struck.items()))
    verdict = "equal" if outcome.exact else "do not equal"
    return (
        f"Intake: {faults}; of {outcome.accepted:,} accepted messages {outcome.forgotten:,} were lost with a killed "
        f"process, up to {outcome.oldest_s:.1f} s after they were accepted, and {outcome.unprocessed} were left "
        f"unprocessed by one that was stopped, {outcome.unreported} of them without a word; the states {verdict} the "
        f"oracle's; of {outcome.alerts} alerts {outcome.undelivered} were not "
        f"delivered, and {outcome.surplus} were surplus"
    )


def report(outcome: Outcome) -> Group:
    """Faults by kind with their recovery times, and each topic compared with the oracle's."""
    faults = Table(title=f"Faults, seed {outcome.seed}: {outcome.seconds:.0f} s")
    for name in ("fault", "struck", "in a transaction", "survived", "median recovery", "worst"):
        faults.add_column(name, justify="left" if name == "fault" else "right")
    kinds = sorted({each.kind for each in outcome.struck})
    for kind in [*kinds, None]:
        chosen = [each for each in outcome.struck if kind in (each.kind, None)]
        times = [each.recovery_s for each in chosen if each.recovery_s is not None]
        inside = sum(each.inside for each in chosen)
        recovery = (f"{statistics.median(times):.1f} s", f"{max(times):.1f} s") if times else ("", "")
        faults.add_row(
            kind or "all", str(len(chosen)), str(inside), str(len(times)), *recovery, end_section=kind == kinds[-1]
        )
    topics = Table(title="What a read_committed consumer finds, compared with the oracle")
    for name in ("topic", "expected", "lost", "repeated", "foreign", "displaced"):
        topics.add_column(name, justify="left" if name == "topic" else "right")
    for each in outcome.comparisons:
        numbers = (each.expected, each.lost, each.repeated, each.foreign, each.displaced)
        topics.add_row(each.what, *(f"{number:,}" for number in numbers))
    fenced = ", ".join(f"{name} {count}" for name, count in sorted(outcome.fenced.items()))
    return Group(
        faults,
        topics,
        f"Commits refused to replicas that had been replaced: {fenced or 'none'}",
        f"Changes of the reference within a stream's panes of a partition: {outcome.reference_changes}",
    )
