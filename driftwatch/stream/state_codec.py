"""What is remembered of a stream between panes, as JSON for the state topic and for state files.

It is written in the oldest format that can represent it, so that an older daemon can take over a stream whose reference
is not changing. Newer formats are used only during a switch of the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from driftwatch.stream.anytime import AnytimeState
from driftwatch.stream.formats import require_format, valid_state
from driftwatch.stream.policy import PolicyState

FORMAT = 2


@dataclass(frozen=True)
class TestState:
    """What testing remembers of a stream.

    Args:
        reference: version of the reference that scored the newest pane; empty before the first.
        policy: state of the stream's alarm.
        bets: states of the anytime alarms, by version of their reference.
        by_time: states of the windows by time, by version of their reference.
    """

    __test__ = False

    reference: str = ""
    policy: PolicyState = field(default_factory=PolicyState)
    bets: Mapping[str, AnytimeState] = field(default_factory=dict)
    by_time: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        policy, bets = self.policy, {version: each.to_json() for version, each in self.bets.items()}
        fields: dict[str, Any] = {
            "reference": self.reference,
            "firing": policy.firing,
            "severity": policy.severity,
            "quiet": policy.quiet,
            "since_ms": policy.since_ms,
        }
        # Older daemons ignore these fields, and end the alarm by their own rules.
        if policy.stirred_ms is not None:
            fields |= {"settled": policy.settled, "stirred_ms": policy.stirred_ms, "back": policy.back}
        if (current := bets.pop(self.reference, None)) is not None:
            fields["anytime"] = current
        if bets or policy.reference not in ("", self.reference):
            fields |= {"format": FORMAT, "began_by": policy.reference, "others": bets}
        # Daemons that do not know this field have no windows by time.
        if self.by_time:
            fields["by_time"] = dict(self.by_time)
        return fields


def parse_state(fields: Mapping[str, Any], where: str) -> TestState:
    """The inverse of `TestState.to_json`.

    Args:
        fields: the JSON object.
        where: it was found.

    Raises:
        SourceError: it has a newer format, or is not a state.
    """
    require_format(fields.get("format", 1), FORMAT, what="the state of a stream", where=where)
    with valid_state(where):
        reference, firing = str(fields["reference"]), bool(fields["firing"])
        bets = {version: AnytimeState.from_json(each) for version, each in fields.get("others", {}).items()}
        if "anytime" in fields:
            bets[reference] = AnytimeState.from_json(fields["anytime"])
        began_by = str(fields.get("began_by", reference if firing else ""))
        policy = PolicyState(firing, str(fields["severity"]), int(fields["quiet"]), int(fields["since_ms"]), began_by)
        if "stirred_ms" in fields:
            settled, stirred_ms = int(fields["settled"]), int(fields["stirred_ms"])
            policy = replace(policy, settled=settled, stirred_ms=stirred_ms, back=bool(fields["back"]))
        return TestState(reference, policy, bets, dict(fields.get("by_time", {})))
