"""Counts of a client's observations by outcome."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stats:
    """Counts since the process began (a forked process starts at zero).

    Every observation is counted in one place: ``observed`` is the sum of all the others except ``requests`` and
    ``queued_bytes``.

    Args:
        observed: calls of `observe` that held samples.
        sampled_out: left out on purpose, by ``sample_fraction``.
        sent: accepted by the sidecar.
        dropped: given up before they were sent: the queue was full, or the client closed.
        failed: given up after trying: no answer in time, or a rejection.
        refused: not sent, since they could not be read or encoded.
        queued: waiting to be sent, or being sent.
        queued_bytes: held by these.
        requests: HTTP requests made; many small observations share one.
    """

    observed: int = 0
    sampled_out: int = 0
    sent: int = 0
    dropped: int = 0
    failed: int = 0
    refused: int = 0
    queued: int = 0
    queued_bytes: int = 0
    requests: int = 0
