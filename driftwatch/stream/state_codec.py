"""What is remembered of a stream between panes, as JSON for the state topic and for state files.

It is written in the oldest format that can hold it, so that an older daemon can take up a stream whose reference does
not change at the moment, and the newer formats are there for a switch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from driftwatch.errors import SourceError
from driftwatch.stream.anytime import AnytimeState
from driftwatch.stream.formats import require_format
from driftwatch.stream.policy import PolicyState

FORMAT = 2


@dataclass(frozen=True)
class TestState:
    """What testing remembers of a stream.

    Args:
        reference: version of the reference that scored the newest pane; empty before the first.
        policy: of the stream's alarm.
        bets: of the anytime alarms, by the version of their reference.
        by_time: of the windows by time, likewise.
    """

    __test__ = False

    reference: str = ""
    policy: PolicyState = field(default_factory=PolicyState)
    bets: Mapping[str, AnytimeState] = field(default_factory=dict)
    by_time: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        policy, bets = self.policy, {version: each.to_json() for version, each in self.bets.items()}
        told: dict[str, Any] = {
            "reference": self.reference,
            "firing": policy.firing,
            "severity": policy.severity,
            "quiet": policy.quiet,
            "since_ms": policy.since_ms,
        }
        # Older daemons do not know these, and end the alarm as they end alarms.
        if policy.stirred_ms is not None:
            told |= {"settled": policy.settled, "stirred_ms": policy.stirred_ms, "back": policy.back}
        if (present := bets.pop(self.reference, None)) is not None:
            told["anytime"] = present
        if bets or policy.reference not in ("", self.reference):
            told |= {"format": FORMAT, "began_by": policy.reference, "others": bets}
        # Those who do not know it have no windows by time.
        if self.by_time:
            told["by_time"] = dict(self.by_time)
        return told


def parse_state(told: Mapping[str, Any], where: str) -> TestState:
    """The inverse of `TestState.to_json`.

    Args:
        told: the JSON.
        where: it was found.

    Raises:
        SourceError: it is of a newer format, or no state.
    """
    require_format(told.get("format", 1), FORMAT, what="the state of a stream", where=where)
    try:
        reference, firing = str(told["reference"]), bool(told["firing"])
        bets = {version: AnytimeState.from_json(each) for version, each in told.get("others", {}).items()}
        if "anytime" in told:
            bets[reference] = AnytimeState.from_json(told["anytime"])
        began_by = str(told.get("began_by", reference if firing else ""))
        policy = PolicyState(firing, str(told["severity"]), int(told["quiet"]), int(told["since_ms"]), began_by)
        if "stirred_ms" in told:
            settled, stirred_ms = int(told["settled"]), int(told["stirred_ms"])
            policy = replace(policy, settled=settled, stirred_ms=stirred_ms, back=bool(told["back"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(
            f"holds no state of a stream: {error}", where=where, remedy="delete it to start anew"
        ) from None
    return TestState(reference, policy, bets, dict(told.get("by_time", {})))
