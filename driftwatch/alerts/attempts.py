"""Retries deliveries that may succeed later, with pauses that double, or that the receiver requests."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tenacity import RetryCallState, RetryError, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set
from tenacity.wait import wait_random_exponential

from driftwatch.errors import SinkError

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
LONGEST_REQUESTED_S = 600.0

_usual_wait = wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)


class TryAgain(Exception):  # noqa: N818 - only ever between two attempts
    """The receiver may accept it later.

    Args:
        why: the reason for this failure.
        after_s: how long the receiver asks to wait, seconds.
    """

    def __init__(self, why: str, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.after_s = min(after_s, LONGEST_REQUESTED_S)


def persist(call: Callable[[], None], *, most: int, stop: threading.Event, sink: str) -> None:
    """Call until it succeeds, at most `most` times, or until `stop` is set.

    Waits between attempts double, with jitter, up to a minute; a longer wait requested by the receiver is respected.

    Raises:
        SinkError: no attempt succeeded.
    """
    retrying = Retrying(
        retry=retry_if_exception_type(TryAgain),
        stop=stop_after_attempt(most) | stop_when_event_set(stop),
        wait=_wait,
        sleep=sleep_using_event(stop),
    )
    try:
        retrying(call)
    except RetryError as error:
        attempt = error.last_attempt
        raise SinkError(
            f"{attempt.exception()}, after {attempt.attempt_number} attempts", where=f"sink {sink}"
        ) from None


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    requested_s = error.after_s if isinstance(error, TryAgain) else 0.0
    return max(requested_s, _usual_wait(state))
