"""A role is idle once nothing has come for a while, and again only after something came."""

from __future__ import annotations

from driftwatch.stream.idle import IDLE_S, Idle


def test_idleness_begins_once_after_each_interruption() -> None:
    now_s = [0.0]
    idle = Idle(lambda: now_s[0])
    for _ in range(2):
        idle.interrupt()
        told = []
        for _ in range(4):
            now_s[0] += IDLE_S / 2
            told.append(idle.begins())
        assert told == [False, True, False, False]
