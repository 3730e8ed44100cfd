"""The client: `observe` copies a batch and returns; a thread sends it to the sidecar."""

from __future__ import annotations

import atexit
import math
import os
import random
import threading
import weakref
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from driftwatch.client.buffer import Bounds, Buffer
from driftwatch.client.complaints import Complaints
from driftwatch.client.observation import Observation
from driftwatch.client.reading import addressed, read
from driftwatch.client.stats import Stats
from driftwatch.client.target import target
from driftwatch.errors import UsageError

if TYPE_CHECKING:
    import ssl

BATCH_BYTES = 1 << 20
CLOSE_S = 2.0
DAY_S = 86_400.0


class Client:
    """Sends a driftwatch sidecar what a model is asked, without ever delaying the model.

    `observe` copies the samples into a bounded queue and returns, in microseconds; a thread sends them over a
    keep-alive connection. What does not fit is dropped and counted in `stats`. The constructor raises for a
    configuration that cannot work; nothing raises after that. A batch that cannot be read is counted as ``refused`` and
    logged to ``driftwatch.client``, at most once a minute for each kind of problem.

    A process needs one client, created at its start; threads may share it. A forked process (gunicorn's workers) sends
    by its own thread, and leaves what waited at the fork to its parent. At exit, waiting samples are sent for up to two
    seconds.

    Args:
        url: of the sidecar, such as ``http://127.0.0.1:9464``.
        stream: that samples belong to, by its name in the daemon's configuration; None leaves that to the sidecar.
        token: the sidecar's ``source.token``.
        sample_fraction: fraction of samples to send, chosen at random, in (0, 1].
        linger_s: seconds that a small observation waits for others, to share a request with them; 0 for none.
        queue_messages: the most observations that may wait.
        queue_bytes: the most bytes that these may hold.
        timeout_s: seconds for the sidecar to answer.
        retry_s: seconds for which a message is retried while the sidecar is busy or away.
        tls: for https, instead of the system's certificate authorities.
    Raises:
        UsageError: an argument is out of range.

    >>> with Client("http://127.0.0.1:9", stream="fashion", retry_s=0) as client:  # where nobody listens
    ...     client.observe([[0.1, 0.2], [0.3, 0.4]])
    True
    >>> client.stats().failed
    1
    """

    def __init__(
        self,
        url: str,
        stream: str | None = None,
        *,
        token: str | None = None,
        sample_fraction: float = 1.0,
        linger_s: float = 0.1,
        queue_messages: int = 10_000,
        queue_bytes: int = 32 << 20,
        timeout_s: float = 2.0,
        retry_s: float = 5.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        # Imported here, as it takes 25 ms. And not in the thread: a fork during an import leaves its lock held.
        from driftwatch.client.sender import Sender

        self._target = target(url, token, tls)
        if stream is not None and not (stream and stream.isprintable()):
            raise UsageError(f"stream {stream!r} cannot be a header", where="Client")
        if not 0 < sample_fraction <= 1:
            raise UsageError(f"sample_fraction {sample_fraction!r} is not in (0, 1]", where="Client")
        for name, value, lowest, highest in (
            ("linger_s", linger_s, 0.0, DAY_S),
            ("queue_messages", queue_messages, 1, math.inf),
            ("queue_bytes", queue_bytes, 1, math.inf),
            ("timeout_s", timeout_s, 0.001, DAY_S),
            ("retry_s", retry_s, 0.0, DAY_S),
        ):
            if not lowest <= value <= highest:
                raise UsageError(f"{name} {value!r} is not in [{lowest}, {highest}]", where="Client")
        self._stream, self._fraction, self._linger_s = stream, sample_fraction, linger_s
        self._bounds = Bounds(queue_messages, queue_bytes, min(BATCH_BYTES, queue_bytes), linger_s)
        self._sender = partial(Sender, self._target, timeout_s=timeout_s, retry_s=retry_s)
        self._reset()
        _CLIENTS.add(self)

    @property
    def shares_requests(self) -> bool:
        """Whether small observations wait for others, to share a request."""
        return self._linger_s > 0

    def observe(
        self,
        batch: Any,
        *,
        stream: str | None = None,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bool:
        """Copy samples, to be sent in the background; never waits, never raises.

        Samples lie along the first axis; a single flat one counts as a batch of one. A tensor on a GPU is copied to the
        host here, which waits for the GPU: choose a small `sample_fraction`, or observe what is on the host.

        Args:
            batch: an array ``(N, ...)`` of NumPy or anything that NumPy reads, a torch tensor, a list of samples, a row
                by column name or a list of them, a pandas, polars or Arrow table, or a message's bytes.
            stream: that these belong to, if not the client's.
            content_type: of bytes.
            headers: to send along, such as ``traceparent``; with any, the observation gets its own request.

        Returns:
            False if the samples were dropped or cannot be sent.
        """
        if not self._buffer.has_room():
            self._drop()
            return False
        sampler = _Sampler(self._fraction)
        try:
            observation = read(batch, sampler, content_type)
            if observation is not None:
                return self._put(addressed(observation, self._stream if stream is None else stream, headers))
        except Exception as error:  # noqa: BLE001  whatever the caller's object raises, the model must go on
            self.refuse(type(error).__name__, str(error)[:300])
            return False
        if sampler.left_out:
            self._buffer.count("sampled_out")
        return True

    def refuse(self, kind: str, why: str) -> None:
        """Count an observation that its caller could not make, and log it as `observe` does.

        Args:
            kind: a short name, one of few; each is logged at most once a minute.
            why: the reason.
        """
        self._buffer.count("refused")
        self._complaints.say(f"refused {kind}", f"an observation cannot be sent: {why}")

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything observed so far is sent or given up; False if that takes over `timeout` seconds."""
        return self._buffer.flush(timeout)

    def close(self, timeout: float = CLOSE_S) -> bool:
        """Send what waits, for up to `timeout` seconds, and end; False if something was dropped. Later batches are."""
        self._buffer.close()
        if self._thread is not None:
            self._thread.join(timeout)
        lost = self._buffer.drop_all()
        if lost:
            self._complaints.say("closed", f"closed before {lost} observations were sent")
        return not lost

    def stats(self) -> Stats:
        """Counts of the observations of this process."""
        return self._buffer.stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({str(self._target)!r}, stream={self._stream!r})"

    def _reset(self) -> None:
        self._complaints, self._buffer = Complaints(), Buffer(self._bounds)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        # A client that is garbage-collected without close() must end its thread too.
        self._finalizer = weakref.finalize(self, self._buffer.close)
        self._finalizer.atexit = False

    def _restart_in_child(self) -> None:
        """Start afresh in a forked child: threads do not survive a fork, and locks may be held for ever."""
        self._finalizer.detach()
        self._reset()

    def _put(self, observation: Observation) -> bool:
        if self._thread is None:
            self._start()
        if not self._buffer.put(observation):
            self._drop(counted=True)
            return False
        return True

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._buffer.closed:
                sender = self._sender(self._buffer, self._complaints)
                thread = threading.Thread(target=sender.run, name="driftwatch-client", daemon=True)
                thread.start()
                _THREADS.add(thread)
                self._thread = thread

    def _drop(self, *, counted: bool = False) -> None:
        if not counted:
            self._buffer.count("dropped")
        why = "the client is closed" if self._buffer.closed else "the queue is full: the sidecar is too slow, or away"
        self._complaints.say("dropped", f"observations are dropped, {why}")


class _Sampler:
    """Chooses samples at random."""

    def __init__(self, fraction: float) -> None:
        self._fraction = fraction
        self.left_out = False

    def __call__(self, count: int) -> list[int] | None:
        """Indices of the samples to keep out of `count`; None for all."""
        if self._fraction >= 1:
            return None
        kept = [i for i in range(count) if random.random() < self._fraction]  # noqa: S311  no secret
        self.left_out = not kept and count > 0
        return kept


_CLIENTS: weakref.WeakSet[Client] = weakref.WeakSet()
_THREADS: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def _restart_all_in_child() -> None:
    _THREADS.clear()
    for client in list(_CLIENTS):
        client._restart_in_child()


def _close_all() -> None:
    for client in list(_CLIENTS):
        client.close()
    for thread in list(_THREADS):  # of clients that were garbage-collected
        thread.join(CLOSE_S)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_all_in_child)
atexit.register(_close_all)
