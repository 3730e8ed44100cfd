"""Sends what waits in the buffer, in its own thread, over one keep-alive connection."""

from __future__ import annotations

import http.client
import random
import time
from typing import NamedTuple

from driftwatch.client.buffer import Buffer, Outcome
from driftwatch.client.complaints import LOGGER, Complaints
from driftwatch.client.observation import Observation, messages
from driftwatch.client.target import Target

MESSAGE_BYTES = 8 << 20
"""Half of what a sidecar accepts by default; larger arrays are sent in several messages."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
# A kept connection that breaks without an answer was most likely closed by the sidecar, which shows only on use.
STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)
READ_BYTES = 64 << 10

Headers = dict[str, bytes]


class _Answer(NamedTuple):
    status: int
    retry_after: str | None


class Sender:
    """Posts observations, one group at a time; retries for a while if the sidecar is busy or away.

    Args:
        target: the sidecar.
        buffer: holds the observations.
        complaints: reports failures.
        timeout_s: for the sidecar to connect, and to answer.
        retry_s: how long to retry one message.
    """

    def __init__(
        self, target: Target, buffer: Buffer, complaints: Complaints, *, timeout_s: float, retry_s: float
    ) -> None:
        self._target, self._buffer, self._complaints = target, buffer, complaints
        self._timeout_s, self._retry_s = timeout_s, retry_s
        self._connection: http.client.HTTPConnection | None = None
        self._fresh = True
        self._pause_s = FIRST_PAUSE_S
        self._requests = 0

    def run(self) -> None:
        """Send until the buffer is closed and empty."""
        while (taken := self._buffer.take()) is not None:
            self._requests = 0
            outcome: Outcome = "failed"
            try:
                headers = self._headers(taken[0])
                if all(self._delivered(body, headers) for body in messages(taken, MESSAGE_BYTES)):
                    outcome = "sent"
            except Exception:  # noqa: BLE001  a bug here must end neither the thread nor the model's service
                LOGGER.exception("driftwatch: a bug in the client, please report it")
                self._disconnect()
            self._buffer.settle(outcome, self._requests)
        self._disconnect()

    def _delivered(self, body: bytes, headers: Headers) -> bool:
        """Post a message; False if it was given up."""
        until = time.monotonic() + self._retry_s
        while True:
            try:
                answer = self._post(body, headers)
            except (OSError, http.client.HTTPException) as error:
                self._disconnect()
                kind, problem = "away", f"no answer from {self._target}: {_describe(error)}"
                wait_s = self._pause_s
            else:
                if 200 <= answer.status < 300:
                    self._pause_s = FIRST_PAUSE_S
                    return True
                kind, problem = str(answer.status), f"{self._target} answered {answer.status} {_meaning(answer.status)}"
                if answer.status not in BUSY:
                    self._complaints.say(kind, f"{problem}; observations are lost")
                    return False
                wait_s = max(self._pause_s, _seconds(answer.retry_after))
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            wait_s *= random.uniform(1.0, 1.5)  # noqa: S311  so that workers do not all return at once
            if self._buffer.closed or time.monotonic() + wait_s > until:
                self._complaints.say(kind, f"{problem}; observations are lost until that changes")
                return False
            self._buffer.pause(wait_s)

    def _post(self, body: bytes, headers: Headers) -> _Answer:
        if self._connection is None:
            self._connection, self._fresh = self._connect(), True
        self._requests += 1
        try:
            return self._exchange(self._connection, body, headers)
        except STALE:
            if self._fresh:
                raise
            self._disconnect()
            return self._post(body, headers)

    def _exchange(self, connection: http.client.HTTPConnection, body: bytes, headers: Headers) -> _Answer:
        connection.request("POST", self._target.path, body, headers)
        response = connection.getresponse()
        if len(response.read(READ_BYTES)) == READ_BYTES:
            self._disconnect()  # an answer this long is not read to its end
        self._fresh = False
        return _Answer(response.status, response.getheader("retry-after"))

    def _connect(self) -> http.client.HTTPConnection:
        target = self._target
        if target.tls is None:
            return http.client.HTTPConnection(target.host, target.port, timeout=self._timeout_s)
        return http.client.HTTPSConnection(target.host, target.port, timeout=self._timeout_s, context=target.tls)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _headers(self, observation: Observation) -> Headers:
        headers = {name: value.encode() for name, value in observation.headers}
        if observation.content_type is not None:
            headers["content-type"] = observation.content_type.encode()
        if observation.stream is not None:
            headers["driftwatch-stream"] = observation.stream.encode()
        if self._target.token is not None:
            headers["authorization"] = f"Bearer {self._target.token}".encode()
        return headers


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _meaning(status: int) -> str:
    if status in (401, 403):
        return "(check the token)"
    if status in (404, 405):
        return "(it accepts no samples at this address)"
    if status == 413:
        return "(a message is too large for it: observe fewer samples at a time)"
    return f"({http.client.responses.get(status, 'unknown')})"


def _seconds(retry_after: str | None) -> float:
    """The wait that the sidecar requests, within reason."""
    return min(float(retry_after), LONGEST_PAUSE_S) if retry_after and retry_after.isdecimal() else 0.0
