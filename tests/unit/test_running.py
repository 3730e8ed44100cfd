"""What every daemon has, whatever its roles."""

from __future__ import annotations

import gc
import signal

from driftwatch.running import FULL_COLLECTIONS, noting_hangups, spare_collector


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


def test_the_collector_walks_seldom_through_what_stays() -> None:
    before = gc.get_threshold()
    try:
        spare_collector()
        assert gc.get_threshold() == (*before[:2], FULL_COLLECTIONS)
        assert gc.get_freeze_count() > 0
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
