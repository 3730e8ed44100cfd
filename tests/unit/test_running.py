"""What every daemon has, whatever its roles."""

from __future__ import annotations

import signal

from driftwatch.running import noting_hangups


def test_a_hangup_that_came_before_anybody_listened_is_noted() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        signal.raise_signal(signal.SIGHUP)
        with noting_hangups() as hangup:
            assert hangup.is_set()
            hangup.clear()
            signal.raise_signal(signal.SIGHUP)
            assert hangup.is_set()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
