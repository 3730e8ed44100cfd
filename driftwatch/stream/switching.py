"""Tests one stream whose reference may change: separate windows for each reference, and one alarm for all of them.

Replicas switch to a new reference at different times, so for a while a stream's panes alternate between two. A window
holds panes of one reference only, and which panes it holds is a function of the panes log.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from driftwatch.errors import SourceError
from driftwatch.stream.findings import Examiner
from driftwatch.stream.formats import valid_state
from driftwatch.stream.log import Partition
from driftwatch.stream.panes import Pane
from driftwatch.stream.standards import Standard
from driftwatch.stream.state_codec import TestState
from driftwatch.stream.windows import StreamTester, TestOutcome

FindStandard = Callable[[str, str | None], Standard | None]
"""Looks up what a stream is tested against: for a version of its reference, or currently if that is None.

Returns None if the stream is not configured, or if that reference is missing here (so far).
"""


class SwitchingTester:
    """Tests one stream.

    Args:
        stream: its name.
        find: looks up its standards.
        state: as an earlier tester left it.
    """

    def __init__(self, stream: str, find: FindStandard, state: TestState | None = None) -> None:
        state = state or TestState()
        self.stream = stream
        self._find = find
        self._current = find(stream, None)
        self._policy, self._newest_version = state.policy, state.reference
        self._bets, self._by_time = dict(state.bets), dict(state.by_time)
        self._testers: dict[str, StreamTester] = {}
        self._untestable: dict[str, list[Pane]] = {}
        self._samples_since: dict[str, int] = {}

    @property
    def firing(self) -> bool:
        """Whether the stream's alarm is active."""
        return self._policy.firing

    @property
    def severity(self) -> str | None:
        """Severity of the alarm, while it is active."""
        return self._policy.severity if self.firing else None

    @property
    def since_ms(self) -> int | None:
        """Event time at which the alarm started, while it is active."""
        return self._policy.since_ms if self.firing else None

    @property
    def threshold(self) -> float:
        """P-value at which a window of the current reference starts an alarm; NaN before it is known."""
        return self._current.policy.threshold if self._current else math.nan

    @property
    def newest(self) -> StreamTester | None:
        """The tester for the newest pane's reference, if that is available."""
        return self._testers.get(self._newest_version)

    @property
    def panes(self) -> Mapping[str, Sequence[Pane]]:
        """The panes that windows still need, oldest first, by the version of their reference."""
        return {**self._untestable, **{version: tester.panes for version, tester in self._testers.items()}}

    @property
    def oldest(self) -> int | None:
        """Number of the oldest pane that any window still needs; None if there is none."""
        numbers = [pane.number for panes in self._untestable.values() for pane in panes]
        numbers += [oldest for tester in self._testers.values() if (oldest := tester.oldest) is not None]
        return min(numbers, default=None)

    def state(self) -> TestState:
        """What a later tester needs in addition to the panes."""
        bets = {version: tester.bets for version, tester in self._testers.items()}
        known = {version: each for version, each in bets.items() if each is not None}
        timed = {version: tester.by_time.state() for version, tester in self._testers.items() if tester.by_time}
        return TestState(self._newest_version, self._policy, {**self._bets, **known}, {**self._by_time, **timed})

    def time_window_panes(self) -> dict[str, Mapping[str, Any]]:
        """The panes held by windows by time, JSON-able, by the version of their reference."""
        return {version: tester.by_time.panes() for version, tester in self._testers.items() if tester.by_time}

    def restore_time_windows(self, held: Mapping[str, Mapping[str, Any]]) -> None:
        """Restore what `time_window_panes` returned, where no log can be read again."""
        for version, panes in held.items():
            tester = self._tester(version)
            if tester is not None and tester.by_time:
                with valid_state(f"the windows by time of stream {self.stream}"):
                    tester.by_time.restore_panes(panes)

    def renew(self) -> bool:
        """Switch to the current standards; return whether the stream's current one has changed."""
        for version, tester in self._testers.items():
            standard = self._find(self.stream, version)
            if standard is not None and standard is not tester.standard:
                tester.use_standard(standard)
        present, self._current = self._current, self._find(self.stream, None)
        return self._current is not present

    def replay(self, pane: Pane) -> None:
        """Add a pane that was tested before: it is history for later windows, even if its reference is missing."""
        tester = self._tester(pane.reference)
        if tester is not None:
            tester.replay(pane)
        else:
            self._untestable.setdefault(pane.reference, []).append(pane)
        self._retire_others(pane)

    def restart_windows(self, partition: Partition) -> None:
        """Restart windows that hold panes of a partition in which messages are gone after those."""
        for tester in self._testers.values():
            tester.restart_windows(partition)
        self._untestable = {
            version: panes
            for version, panes in self._untestable.items()
            if not any(pane.topic_partition == partition for pane in panes)
        }

    def feed_all(self, panes: Sequence[Pane], examiner: Examiner | None = None) -> Iterator[TestOutcome]:
        """Add the next panes, whose references are all available, and test the windows that end with each of them.

        At each outcome the tester is in the state after that pane. The `examiner` tests windows together with those of
        other streams, except for windows after a switch of the reference.
        """
        examiner = examiner or Examiner()
        runs = [(version, list(run)) for version, run in groupby(panes, key=lambda pane: pane.reference)]
        begun = [self._required_tester(version).feed_all(run, examiner) for version, run in runs[:1]]
        return self._outcomes(runs, begun, examiner)

    def _outcomes(
        self, runs: Sequence[tuple[str, Sequence[Pane]]], begun: list[Iterator[TestOutcome]], examiner: Examiner
    ) -> Iterator[TestOutcome]:
        for version, run in runs:
            tester = self._required_tester(version)
            outcomes = begun.pop() if begun else tester.feed_all(run, examiner)
            tester.state = self._policy
            for pane, outcome in zip(run, outcomes, strict=True):
                self._policy = tester.state
                self._retire_others(pane)
                yield outcome

    def _required_tester(self, version: str) -> StreamTester:
        tester = self._tester(version)
        if tester is None:
            raise SourceError(f"reference {version} of stream {self.stream} has disappeared while in use")
        return tester

    def _tester(self, version: str) -> StreamTester | None:
        """The tester for a reference; panes that came before the reference are replayed first."""
        if version not in self._testers:
            standard = self._find(self.stream, version)
            if standard is None:
                return None
            tester = self._testers[version] = StreamTester(self.stream, standard, self._policy)
            if (bets := self._bets.pop(version, None)) is not None:
                tester.resume_bets(bets)
            if (timed := self._by_time.pop(version, None)) is not None and tester.by_time:
                with valid_state(f"the state of stream {self.stream}"):
                    tester.by_time.restore(timed)
            for pane in self._untestable.pop(version, ()):
                tester.replay(pane)
        return self._testers[version]

    def _retire_others(self, pane: Pane) -> None:
        """Drop references that had no panes for as many samples as the longest window holds."""
        self._newest_version = pane.reference
        self._samples_since[pane.reference] = 0
        longest = max(self._current.procedure.nulls) if self._current else 0
        for version in self._samples_since.keys() - {pane.reference}:
            self._samples_since[version] += pane.n
            if self._samples_since[version] >= longest:
                for held in (self._testers, self._untestable, self._bets, self._by_time, self._samples_since):
                    held.pop(version, None)
