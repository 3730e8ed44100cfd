"""One stream whose reference may change: windows of each reference by themselves, one alarm over them all.

Replicas take a new reference up at different times, so for a while a stream's panes alternate between two. A window
holds panes of one reference only, and which panes it holds is a function of the panes log.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from driftwatch.errors import SourceError
from driftwatch.stream.findings import Examiner
from driftwatch.stream.log import Partition
from driftwatch.stream.panes import Pane
from driftwatch.stream.state_codec import TestState
from driftwatch.stream.windows import Standard, StreamTester, TestOutcome

FindStandard = Callable[[str, str | None], Standard | None]
"""Of a stream and the version of a reference, that which it is compared with at present if None.

None if the stream is not configured, or there is no such reference here (yet).
"""


class SwitchingTester:
    """Tests one stream.

    Args:
        stream: its name.
        find: of its standards.
        state: as an earlier tester left it.
    """

    def __init__(self, stream: str, find: FindStandard, state: TestState | None = None) -> None:
        state = state or TestState()
        self.stream = stream
        self._find = find
        self._present = find(stream, None)
        self._policy, self._newest = state.policy, state.reference
        self._bets, self._by_time = dict(state.bets), dict(state.by_time)
        self._testers: dict[str, StreamTester] = {}
        self._unheld: dict[str, list[Pane]] = {}
        self._apart: dict[str, int] = {}

    @property
    def firing(self) -> bool:
        """Whether the stream's alarm is on."""
        return self._policy.firing

    @property
    def severity(self) -> str | None:
        """Of the alarm, while it is on."""
        return self._policy.severity if self.firing else None

    @property
    def since_ms(self) -> int | None:
        """Event time at which the alarm started, while it is on."""
        return self._policy.since_ms if self.firing else None

    @property
    def threshold(self) -> float:
        """P-value at which a window of the present reference starts an alarm; not a number before it is known."""
        return self._present.policy.threshold if self._present else math.nan

    @property
    def newest(self) -> StreamTester | None:
        """The tester of the newest pane's reference, if that is here."""
        return self._testers.get(self._newest)

    @property
    def panes(self) -> Mapping[str, Sequence[Pane]]:
        """The panes that windows still need, oldest first, by the version of their reference."""
        return {**self._unheld, **{version: tester.panes for version, tester in self._testers.items()}}

    @property
    def oldest(self) -> int | None:
        """The number of the oldest pane that any window still needs; None if there is none."""
        numbers = [pane.number for panes in self._unheld.values() for pane in panes]
        numbers += [oldest for tester in self._testers.values() if (oldest := tester.oldest) is not None]
        return min(numbers, default=None)

    def state(self) -> TestState:
        """What a later tester needs beside the panes."""
        bets = {version: tester.bets for version, tester in self._testers.items()}
        known = {version: each for version, each in bets.items() if each is not None}
        timed = {version: tester.by_time.state() for version, tester in self._testers.items() if tester.by_time}
        return TestState(self._newest, self._policy, {**self._bets, **known}, {**self._by_time, **timed})

    def held_by_time(self) -> dict[str, Mapping[str, Any]]:
        """What windows by time hold of panes, JSON-able, by the version of their reference."""
        return {version: tester.by_time.panes() for version, tester in self._testers.items() if tester.by_time}

    def hold_by_time(self, held: Mapping[str, Mapping[str, Any]]) -> None:
        """Takes up what `held_by_time` gave, for where the panes that it came from are not had again."""
        for version, panes in held.items():
            tester = self._tester(version)
            if tester is not None and tester.by_time:
                tester.by_time.restore_panes(panes)

    def renew(self) -> bool:
        """Holds what is to come to the standards as they are now; tells whether the present one is another."""
        for version, tester in self._testers.items():
            standard = self._find(self.stream, version)
            if standard is not None and standard is not tester.standard:
                tester.hold_to(standard)
        present, self._present = self._present, self._find(self.stream, None)
        return self._present is not present

    def replay(self, pane: Pane) -> None:
        """Takes a pane that was tested before: it is history of the windows to come, be its reference here or not."""
        tester = self._tester(pane.reference)
        if tester is not None:
            tester.replay(pane)
        else:
            self._unheld.setdefault(pane.reference, []).append(pane)
        self._pass(pane)

    def break_off(self, place: Partition) -> None:
        """Has windows begin anew that hold panes of a partition of which messages are gone after those."""
        for tester in self._testers.values():
            tester.break_off(place)
        self._unheld = {
            version: panes for version, panes in self._unheld.items() if not any(pane.place == place for pane in panes)
        }

    def feed_all(self, panes: Sequence[Pane], examiner: Examiner | None = None) -> Iterator[TestOutcome]:
        """Takes the next panes, whose references are all here, and tests the windows that end with each of them.

        With each outcome the tester stands as if it had been given the panes up to that one. Windows are tested
        together with those of other streams by the `examiner`, but those after a switch of the reference.
        """
        examiner = examiner or Examiner()
        runs = [(version, list(run)) for version, run in groupby(panes, key=lambda pane: pane.reference)]
        begun = [self._held(version).feed_all(run, examiner) for version, run in runs[:1]]
        return self._outcomes(runs, begun, examiner)

    def _outcomes(
        self, runs: Sequence[tuple[str, Sequence[Pane]]], begun: list[Iterator[TestOutcome]], examiner: Examiner
    ) -> Iterator[TestOutcome]:
        for version, run in runs:
            tester = self._held(version)
            outcomes = begun.pop() if begun else tester.feed_all(run, examiner)
            tester.state = self._policy
            for pane, outcome in zip(run, outcomes, strict=True):
                self._policy = tester.state
                self._pass(pane)
                yield outcome

    def _held(self, version: str) -> StreamTester:
        tester = self._tester(version)
        if tester is None:
            raise SourceError(f"reference {version} of stream {self.stream} is not here, though it was just now")
        return tester

    def _tester(self, version: str) -> StreamTester | None:
        """The tester of a reference, with the history that came before the reference was here."""
        if version not in self._testers:
            standard = self._find(self.stream, version)
            if standard is None:
                return None
            tester = self._testers[version] = StreamTester(self.stream, standard, self._policy)
            if (bets := self._bets.pop(version, None)) is not None:
                tester.resume_bets(bets)
            if (timed := self._by_time.pop(version, None)) is not None and tester.by_time:
                tester.by_time.restore(timed)
            for pane in self._unheld.pop(version, ()):
                tester.replay(pane)
        return self._testers[version]

    def _pass(self, pane: Pane) -> None:
        """Lets go of a reference whose panes have not come for as many samples as the longest window has."""
        self._newest = pane.reference
        self._apart[pane.reference] = 0
        longest = max(self._present.procedure.nulls) if self._present else 0
        for version in self._apart.keys() - {pane.reference}:
            self._apart[version] += pane.n
            if self._apart[version] >= longest:
                for held in (self._testers, self._unheld, self._bets, self._by_time, self._apart):
                    held.pop(version, None)
