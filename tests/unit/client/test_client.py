"""The client accepts observations at once, and a thread sends them; those that cannot be sent are counted."""

from __future__ import annotations

import gc
import json
import logging
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trustme

from driftwatch.client import Client, Stats, sender
from driftwatch.data.codecs import decode
from driftwatch.data.schema import VectorSchema
from driftwatch.errors import UsageError
from tests.sidecar import DEADLINE_S, Request, Sidecar

LONG_S = 600.0
SAMPLE = np.zeros((1, 3), np.float32)


@pytest.fixture
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "FIRST_PAUSE_S", 0.01)


def samples(requests: list[Request]) -> np.ndarray:
    schema = VectorSchema(dim=3)
    return np.concatenate([decode(request.body, request.headers, schema) for request in requests])


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def accounted(stats: Stats) -> bool:
    parts = (stats.sent, stats.dropped, stats.failed, stats.refused, stats.sampled_out, stats.queued)
    return sum(parts) == stats.observed


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_observations_arrive(sidecar: Sidecar) -> None:
    with Client(sidecar.url, stream="Tür", token="s3cret-token") as client:
        assert client.observe(np.arange(6.0).reshape(2, 3))
        assert client.flush()
        assert client.stats() == Stats(observed=1, sent=1, requests=1)
    (request,) = sidecar.requests
    assert request.path == "/"
    assert request.headers["content-type"] == b"application/x-npy"
    assert request.headers["driftwatch-stream"].decode() == "Tür"
    assert request.headers["authorization"] == b"Bearer s3cret-token"
    np.testing.assert_array_equal(samples([request]), [[0, 1, 2], [3, 4, 5]])


def test_small_observations_share_requests_and_stay_in_order(sidecar: Sidecar) -> None:
    with Client(sidecar.url, stream="a", linger_s=LONG_S) as client:
        for i in range(500):
            client.observe(np.full((1, 3), i, np.float32))
            client.observe({"age": i, "city": "Ulm"}, stream="b")
        assert client.flush()
        stats = client.stats()
    assert (stats.observed, stats.sent, stats.requests) == (1_000, 1_000, 2)
    array, rows = sidecar.requests
    assert samples([array])[:, 0].tolist() == list(range(500))
    assert [row["age"] for row in json.loads(rows.body)] == list(range(500))
    assert rows.headers["driftwatch-stream"] == b"b"


def test_a_full_message_does_not_wait_for_more(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftwatch.client.client.BATCH_BYTES", 10 * SAMPLE.nbytes)
    with Client(sidecar.url, linger_s=LONG_S) as client:
        for _ in range(25):
            client.observe(SAMPLE)
        sidecar.wait_for(1)
    assert len(samples(sidecar.requests)) == 25
    assert max(len(samples([request])) for request in sidecar.requests) == 10


def test_an_observation_waits_for_others_only_for_linger_s(sidecar: Sidecar) -> None:
    with Client(sidecar.url, linger_s=0.01) as client:
        client.observe(SAMPLE)
        sidecar.wait_for(1)


def test_without_lingering_each_observation_has_a_request(sidecar: Sidecar) -> None:
    with Client(sidecar.url, linger_s=0) as client:
        for i in range(3):
            client.observe(SAMPLE)
            sidecar.wait_for(i + 1)
    assert sidecar.connections == 1, "the connection is reused"


def test_headers_travel_with_their_observation(sidecar: Sidecar) -> None:
    with Client(sidecar.url) as client:
        client.observe(SAMPLE)
        client.observe(SAMPLE, headers={"traceparent": "00-0af7-b7ad-01"})
        client.observe(SAMPLE)
        client.flush()
    assert sorted(request.headers.get("traceparent", b"") for request in sidecar.requests) == [b"", b"00-0af7-b7ad-01"]
    assert len(samples(sidecar.requests)) == 3


def test_a_slow_sidecar_costs_samples_but_no_time(sidecar: Sidecar, caplog: pytest.LogCaptureFixture) -> None:
    sidecar.waits.clear()
    with Client(sidecar.url, linger_s=0, queue_messages=5, timeout_s=DEADLINE_S) as client:
        client.observe(SAMPLE)
        sidecar.wait_for(1)
        started = time.perf_counter()
        taken = [client.observe(SAMPLE) for _ in range(1_000)]
        assert time.perf_counter() - started < 1.0
        assert taken == [True] * 4 + [False] * 996
        stats = client.stats()
        assert (stats.queued, stats.dropped, accounted(stats)) == (5, 996, True)
        sidecar.waits.set()
        assert client.flush()
        assert client.stats().sent == 5
        assert client.observe(SAMPLE), "there is room again"
    assert [record.message for record in caplog.records if "queue is full" in record.message].__len__() == 1


def test_the_queue_is_bounded_in_bytes(sidecar: Sidecar) -> None:
    sidecar.waits.clear()
    with Client(sidecar.url, queue_bytes=1_000, linger_s=LONG_S) as client:
        assert not client.observe(np.zeros((1_000, 3)))
        taken = [client.observe(np.zeros((4, 3))) for _ in range(20)]
        stats = client.stats()
        assert (sum(taken), stats.dropped) == (10, 11)
        assert stats.queued_bytes == 960
        sidecar.waits.set()


@pytest.mark.usefixtures("_quick_retries")
@pytest.mark.parametrize("answer", [(503, {}), (429, {"retry-after": "0"}), (500, {"retry-after": "soon"}), None])
def test_a_busy_sidecar_is_retried(sidecar: Sidecar, answer: Any) -> None:
    sidecar.answers.extend([answer, answer])
    with Client(sidecar.url) as client:
        client.observe(np.ones((1, 3)))
        assert client.flush()
        assert client.stats() == Stats(observed=1, sent=1, requests=3)
    assert len({request.body for request in sidecar.requests}) == 1


@pytest.mark.usefixtures("_quick_retries")
def test_a_sidecar_that_stays_busy_costs_the_message(sidecar: Sidecar, caplog: pytest.LogCaptureFixture) -> None:
    sidecar.answers.extend([(503, {})] * 100)
    with Client(sidecar.url, retry_s=0.1) as client:
        client.observe(SAMPLE)
        assert client.flush()
        assert (client.stats().failed, accounted(client.stats())) == (1, True)
    assert "answered 503" in caplog.text


@pytest.mark.parametrize(
    ("status", "message"), [(401, "check the token"), (413, "too large"), (404, "no samples at this address")]
)
def test_a_refusal_is_final_and_logged_once(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture, status: int, message: str
) -> None:
    sidecar.answers.extend([(status, {})] * 2)
    with Client(sidecar.url, token="s3cret-token") as client:
        for _ in range(2):
            client.observe(SAMPLE)
            client.flush()
        client.observe(SAMPLE)
        client.flush()
        assert client.stats() == Stats(observed=3, failed=2, sent=1, requests=3)
    assert caplog.text.count(message) == 1
    assert "s3cret" not in caplog.text + repr(client)


@pytest.mark.usefixtures("_quick_retries")
def test_observations_resume_when_the_sidecar_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with Client(f"http://127.0.0.1:{port}", retry_s=0.05, linger_s=0, queue_messages=50) as client:
        for _ in range(200):
            client.observe(SAMPLE)
        until(lambda: client.stats().failed > 0)
        with Sidecar(port=port) as sidecar:
            client.flush(DEADLINE_S)
            client.observe(np.full((1, 3), 7.0))
            client.flush(DEADLINE_S)
            assert samples(sidecar.requests)[-1].tolist() == [7, 7, 7]
        stats = client.stats()
    assert accounted(stats)
    assert stats.dropped + stats.failed + stats.sent == 201
    assert caplog.text.count("no answer") == 1


def test_a_restart_of_the_sidecar_costs_nothing(sidecar: Sidecar) -> None:
    with Client(sidecar.url, linger_s=0, retry_s=0) as client:
        client.observe(SAMPLE)
        client.flush()
        sidecar.answers.append(None)  # as if it had closed the kept-alive connection
        client.observe(SAMPLE)
        client.flush()
        assert client.stats().sent == 2
    assert sidecar.connections == 2


def test_samples_are_chosen_at_random(sidecar: Sidecar) -> None:
    with Client(sidecar.url, sample_fraction=0.2) as client:
        client.observe(np.zeros((5_000, 3), np.float32))
        for _ in range(2_000):
            client.observe([[1.0, 2.0, 3.0]])
        client.observe([])
        client.flush()
        stats = client.stats()
    assert stats.observed == 2_001
    assert 250 < stats.sent < 550
    assert stats.sent + stats.sampled_out == stats.observed
    array = [request for request in sidecar.requests if request.headers["content-type"] == b"application/x-npy"]
    assert 800 < len(samples(array)) < 1_200


def test_something_that_is_not_a_batch_raises_nothing(sidecar: Sidecar, caplog: pytest.LogCaptureFixture) -> None:
    with Client(sidecar.url) as client:
        for _ in range(3):
            assert not client.observe("text")
        assert not client.observe(SAMPLE, headers={"a": "b\r\nc: d"})
        assert client.observe([])
        assert client.stats() == Stats(observed=4, refused=4)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "a str is not a batch: observe accepts an array" in caplog.text


def test_a_bug_in_the_client_does_not_stop_it(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Client(sidecar.url, linger_s=0) as client:
        with monkeypatch.context() as patched:
            patched.setattr(sender, "messages", lambda *_: 1 / 0)
            client.observe(SAMPLE)
            client.flush()
        client.observe(SAMPLE)
        client.flush()
        assert client.stats() == Stats(observed=2, failed=1, sent=1, requests=1)
    assert "please report it" in caplog.text


def test_closing_sends_the_rest_and_accepts_no_more(sidecar: Sidecar) -> None:
    client = Client(sidecar.url, linger_s=LONG_S)
    client.observe(SAMPLE)
    assert client.close()
    assert client.close(), "closing twice is harmless"
    assert not client.observe(SAMPLE)
    assert client.stats() == Stats(observed=2, sent=1, dropped=1, requests=1)


def test_closing_waits_only_for_its_timeout(sidecar: Sidecar, caplog: pytest.LogCaptureFixture) -> None:
    sidecar.waits.clear()
    client = Client(sidecar.url, timeout_s=DEADLINE_S, linger_s=0)
    client.observe(SAMPLE)
    sidecar.wait_for(1)
    client.observe(SAMPLE)
    assert not client.flush(0.01)
    assert not client.close(0.01)
    assert client.stats().dropped == 2
    assert "closed before 2 observations were sent" in caplog.text


def test_an_unreachable_sidecar_does_not_delay_closing() -> None:
    client = Client(f"http://127.0.0.1:{free_port()}", retry_s=LONG_S)
    client.observe(SAMPLE)
    started = time.monotonic()
    assert client.close(DEADLINE_S)
    assert time.monotonic() - started < DEADLINE_S / 2
    assert client.stats().failed == 1


def test_a_client_that_is_garbage_collected_leaves_no_thread(sidecar: Sidecar) -> None:
    client = Client(sidecar.url, linger_s=LONG_S)
    client.observe(SAMPLE)
    thread = client._thread
    assert thread is not None
    del client
    gc.collect()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert len(sidecar.requests) == 1


def test_threads_can_share_a_client(sidecar: Sidecar) -> None:
    with Client(sidecar.url) as client:
        threads = [threading.Thread(target=lambda: [client.observe(SAMPLE) for _ in range(250)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.flush()
        assert client.stats().sent == 2_000
    assert len(samples(sidecar.requests)) == 2_000


def test_certificates_are_verified(tmp_path: Path, sidecar: Sidecar) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    sidecar._server.socket = context.wrap_socket(sidecar._server.socket, server_side=True)
    url = f"https://localhost:{sidecar.port}"
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with Client(url, tls=trusting) as client:
        client.observe(SAMPLE)
        client.flush()
        assert client.stats().sent == 1
    with Client(url, retry_s=0) as client:
        client.observe(SAMPLE)
        client.flush()
        assert client.stats().failed == 1
    assert len(sidecar.requests) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "127.0.0.1:9464"}, "not an address"),
        ({"url": "ftp://host"}, "not an address"),
        ({"url": "http://host:99999"}, "cannot be read"),
        ({"url": None}, "not an address"),
        ({"url": "http://me:pass@host"}, "token="),
        ({"url": "http://host/?a=b"}, "query"),
        ({"token": "two words"}, "token"),
        ({"token": ""}, "token"),
        ({"stream": "a\nb"}, "stream"),
        ({"sample_fraction": 0}, "sample_fraction 0"),
        ({"sample_fraction": float("nan")}, "sample_fraction nan"),
        ({"linger_s": -1}, "linger_s -1"),
        ({"queue_messages": 0}, "queue_messages 0"),
        ({"retry_s": float("inf")}, "retry_s inf"),
        ({"tls": ssl.create_default_context()}, "use https"),
    ],
)
def test_invalid_arguments_raise_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        Client(**{"url": "http://127.0.0.1:1", **arguments})
    assert "pass" not in str(raised.value).replace("password", "")


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_waiting_observations_are_sent_at_exit(sidecar: Sidecar) -> None:
    code = """
import sys
from driftwatch.client import Client
Client(sys.argv[1], linger_s=600).observe([[1.0, 2.0, 3.0]])
client = Client(sys.argv[1], linger_s=600)
client.observe([[1.0, 2.0, 3.0]])
"""
    run(code, sidecar.url)
    assert len(samples(sidecar.requests)) == 2


def test_forked_workers_send_their_own_observations_and_nothing_twice(sidecar: Sidecar) -> None:
    code = """
import os, sys
from driftwatch.client import Client
client = Client(sys.argv[1], linger_s=600)
assert client.observe([[1.0, 0.0, 0.0]])                      # the parent's: waits at the fork
children = []
for worker in range(3):
    child = os.fork()
    if child == 0:
        assert client.stats().observed == 0
        client.observe([[2.0, 0.0, worker]])
        assert client.flush(20), client.stats()
        assert client.stats().sent == 1
        os._exit(0)
    children.append(child)
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
client.observe([[3.0, 0.0, 0.0]])
"""
    run(code, sidecar.url)
    assert sorted(map(tuple, samples(sidecar.requests).tolist())) == [
        (1, 0, 0),
        (2, 0, 0),
        (2, 0, 1),
        (2, 0, 2),
        (3, 0, 0),
    ]
    assert len({request.connection for request in sidecar.requests}) == 4
