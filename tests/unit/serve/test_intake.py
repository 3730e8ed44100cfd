"""The intake's HTTP interface: who may post what and how much, and the answers; a real server, hostile clients."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

import httpx
import pytest

from driftwatch.config import HttpSource
from driftwatch.serve import http, protocol
from driftwatch.serve import intake as face
from driftwatch.serve.health import Health
from driftwatch.serve.http import HttpServer
from driftwatch.serve.intake import Intake
from driftwatch.serve.metrics import Metrics
from driftwatch.serve.status import Status
from driftwatch.stream.intake_queue import IntakeQueue
from tests import plain_http

TOKEN = "correct-horse-battery"
HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n"
REQUEST = {
    "ce-specversion": "1.0",
    "ce-id": "36549ea1",
    "ce-type": "org.kubeflow.serving.inference.request",
    "ce-source": "http://localhost:9081/",
    "ce-inferenceservicename": "fashion",
    "ce-namespace": "models",
    "ce-component": "predictor",
    "ce-endpoint": "default",
    "ce-time": "2026-01-01T00:00:00.123456789Z",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "content-type": "application/x-www-form-urlencoded",
    "authorization": "Bearer of-the-model's-own-client",
}
"""A request as KServe's agent posts it, for the curl example in its documentation."""


def test_an_event_of_kserve_is_accepted_with_the_relevant_headers(serve: Any) -> None:
    served = serve()
    answer = served.client.post("/", content=b'{"instances": [[1]]}', headers=REQUEST)
    assert (answer.status_code, answer.content) == (202, b"")
    (posted,) = served.taken()
    assert posted.value == b'{"instances": [[1]]}'
    kept = {name.decode(): value.decode() for name, value in posted.headers}
    assert kept == {name: value for name, value in REQUEST.items() if name != "authorization"}
    assert (posted.model, posted.arrived_ms) == ("", 1_000_000)
    assert served.outcomes() == {"accepted": 1}


def test_responses_are_ignored_and_counted_or_watched(serve: Any) -> None:
    response = {**REQUEST, "ce-type": "org.kubeflow.serving.inference.response"}
    ignoring, watching = serve(), serve(responses="watch")
    assert ignoring.client.post("/", content=b'{"predictions": [1]}', headers=response).status_code == 202
    assert watching.client.post("/", content=b'{"predictions": [1]}', headers=response).status_code == 202
    assert (ignoring.taken(), ignoring.outcomes()) == ([], {"ignored": 1})
    assert (len(watching.taken()), watching.outcomes()) == (1, {"accepted": 1})


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/models/fashion:predict", "fashion"),
        ("/v2/models/fashion/infer", "fashion"),
        ("/v2/models/fashion/versions/3/infer", "fashion"),
        ("/v1/models/fashion%3apredict", "fashion"),
        ("/v2/models/a%20b/infer", "a b"),
        ("/v2/models/team%2Fa/infer", "team/a"),
        ("/v2/models/team%2Fa/versions/3/infer", "team/a"),
        ("/v2/models/%C3%A9/infer?x=1", "é"),
        ("/v1/models/a%3Ab:predict", "a:b"),
        ("/v1/models/team%2fa:predict", "team/a"),
        ("/", ""),
    ],
)
def test_mirrored_requests_name_their_model(serve: Any, path: str, model: str) -> None:
    served = serve()
    headers = {"host": "fashion.models.svc.cluster.local-shadow"}
    assert served.client.post(path, content=b"[]", headers=headers).status_code == 202
    assert [posted.model for posted in served.taken()] == [model]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v1/models/fashion:explain", {}, 404),
        ("POST", "/v1/models/:predict", {}, 404),
        ("POST", "/v2/models/../infer/infer", {}, 404),
        ("POST", "/v2/models/team/a/infer", {}, 404),
        ("GET", "/", {}, 405),
        ("PUT", "/", {}, 405),
        ("POST", "/", {"content-encoding": "gzip"}, 415),
    ],
)
def test_requests_that_are_not_for_the_intake_are_refused(
    serve: Any, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    served = serve()
    answer = served.client.request(method, path, content=b"[]", headers=headers)
    assert answer.status_code == status
    assert answer.text.strip()
    assert (served.taken(), served.outcomes()) == ([], {"refused": 1})


class TestToken:
    def test_is_required(self, serve: Any) -> None:
        served = serve(token=TOKEN)
        for wrong in ({}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": f"Basic {TOKEN}"}):
            answer = served.client.post("/", content=b"[]", headers=wrong)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        assert served.client.post("/", content=b"[]", headers={"authorization": b"Bearer \xff"}).status_code == 401
        for right in (f"Bearer {TOKEN}", f"bearer {TOKEN}"):
            assert served.client.post("/", content=b"[]", headers={"authorization": right}).status_code == 202
        assert served.outcomes() == {"unauthorized": 4, "accepted": 2}
        assert TOKEN.encode() not in b"".join(value for each in served.taken() for _, value in each.headers)

    def test_is_checked_before_a_body_is_read(self, serve: Any) -> None:
        answer = serve(token=TOKEN).raw(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 401 ")


class TestLimits:
    def test_a_declared_size_is_refused_before_the_body_is_sent(self, serve: Any) -> None:
        served = serve(max_message_bytes=2_000, queue={"bytes": 4_000})
        answer = served.raw(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2001\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert served.outcomes() == {"too_large": 1}
        assert served.client.post("/", content=bytes(2_000)).status_code == 202

    def test_an_undeclared_size_is_refused_while_it_arrives(self, serve: Any) -> None:
        served = serve(max_message_bytes=2_000, queue={"bytes": 4_000})
        chunk = b"400\r\n" + bytes(1024) + b"\r\n"
        answer = served.raw(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", chunk, chunk)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert served.queue.depth().bytes == 0

    def test_a_full_queue_sheds_and_accepts_again(self, serve: Any) -> None:
        served = serve(queue={"messages": 2})
        answers = [served.client.post("/", content=b"[]") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202, 202, 429]
        assert answers[2].headers["retry-after"] == "1"
        assert len(served.taken()) == 2
        assert served.client.post("/", content=b"[]").status_code == 202
        assert served.outcomes() == {"accepted": 3, "shed": 1}

    def test_a_queue_is_limited_in_bytes_too(self, serve: Any) -> None:
        served = serve(max_message_bytes=2_000, queue={"bytes": 3_000})
        statuses = [served.client.post("/", content=bytes(size)).status_code for size in (2_000, 2_000, 1_000)]
        assert statuses == [202, 429, 202]
        assert served.queue.depth().bytes == 3_000
        served.taken()
        assert served.queue.depth().bytes == 0

    def test_headers_count_towards_the_limit(self, serve: Any) -> None:
        served = serve(max_message_bytes=2_000, queue={"bytes": 3_000})
        assert served.client.post("/", content=b"[]", headers={"ce-metadata": "a" * 4_000}).status_code == 429
        assert served.client.post("/", content=b"[]", headers={"ce-metadata": "a" * 2_000}).status_code == 202
        assert served.queue.depth().bytes == 2_000 + len("ce-metadata") + 2
        served.taken()
        assert served.queue.depth().bytes == 0

    def test_a_body_that_does_not_arrive_times_out(self, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(face, "READ_S", 0.2)
        served = serve()
        answer = served.raw(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nsome")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert served.queue.depth().bytes == 0

    def test_a_client_that_disconnects_leaves_nothing_behind(self, serve: Any) -> None:
        served = serve()
        with socket.create_connection(("127.0.0.1", served.listener.port)) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nsome")
        assert served.observed.wait(10)
        assert served.outcomes() == {"refused": 1}
        assert served.queue.depth().bytes == 0

    def test_a_stopping_daemon_answers_503(self, serve: Any) -> None:
        served = serve()
        served.queue.close()
        answer = served.client.post("/", content=b"[]")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert served.outcomes() == {"refused": 1}


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 200_000,
        b"POST / HTTP/1.1\r\nhost: x\r\n" + b"x: a\r\n" * 100_000,
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n" + b"x: a\r\n" * 100_000,
        b"POST /" + b"a" * 200_000,
    ],
)
def test_malformed_requests_disturb_no_others(serve: Any, nonsense: bytes) -> None:
    served = serve()
    answer = served.raw(nonsense)
    assert not answer or answer.startswith(b"HTTP/1.1 4")
    assert served.client.post("/", content=b"[]").status_code == 202


FOREIGN = ["http://evil.example", "https://127.0.0.1.evil.example", "null", "http://[", "http://evil.example:9464", ""]


@pytest.mark.parametrize("origin", FOREIGN)
def test_pages_of_other_sites_cannot_post_if_only_this_machine_is_trusted(serve: Any, origin: str) -> None:
    served = serve()
    answer = served.client.post("/", content=b"[]", headers={"origin": origin, "host": "evil.example:9464"})
    assert answer.status_code == 403
    assert "source.token, or source.anonymous" in answer.text
    assert served.outcomes() == {"unauthorized": 1}
    assert not served.taken()


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080"])
def test_pages_of_this_machine_can_post(serve: Any, origin: str) -> None:
    assert serve().client.post("/", content=b"[]", headers={"origin": origin}).status_code == 202


@pytest.mark.parametrize("more", [{"anonymous": True}, {"token": TOKEN}])
def test_mirrored_requests_of_browsers_are_accepted_if_configured(serve: Any, more: dict[str, Any]) -> None:
    headers = {"origin": FOREIGN[0], "host": "model.example", "authorization": f"Bearer {TOKEN}"}
    assert serve(**more).client.post("/", content=b"[]", headers=headers).status_code == 202


class TestConnections:
    """More connections than the limit."""

    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 4)

    @staticmethod
    def _open_all(served: Any, opened: contextlib.ExitStack) -> list[socket.socket]:
        address = ("127.0.0.1", served.listener.port)
        return [opened.enter_context(socket.create_connection(address, timeout=10)) for _ in range(4)]

    def test_idle_connections_are_closed_the_longest_idle_first(self, serve: Any) -> None:
        served = serve()
        with contextlib.ExitStack() as opened:
            idle = self._open_all(served, opened)
            for connection in (idle[1], idle[0], idle[2], idle[3]):
                connection.sendall(HEAD + b"[]")
                assert connection.recv(1_000).startswith(b"HTTP/1.1 202 ")
            assert served.client.post("/", content=b"[]").status_code == 202
            with contextlib.suppress(ConnectionResetError):
                assert idle[1].recv(1) == b""
            idle[0].sendall(HEAD + b"[]")
            assert idle[0].recv(1_000).startswith(b"HTTP/1.1 202 ")

    def test_a_connection_with_a_request_is_never_closed(self, serve: Any) -> None:
        served = serve()
        with contextlib.ExitStack() as opened:
            busy = self._open_all(served, opened)
            for connection in busy:
                connection.sendall(HEAD + b"[")
            started = time.monotonic()
            while served.queue.depth().bytes < 4 and time.monotonic() - started < 10:
                threading.Event().wait(0.01)
            with pytest.raises(httpx.TransportError):
                served.client.post("/", content=b"[]")
            for connection in busy:
                connection.sendall(b"]")
                assert connection.recv(1_000).startswith(b"HTTP/1.1 202 ")


class TestHeads:
    """Time limits on the heads of requests."""

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(protocol, "HEAD_S", 0.3)

    @pytest.mark.parametrize(
        ("sent", "answers"), [(b"\r\n", 0), (b"P", 0), (HEAD[:-2], 0), (HEAD + b"[]" + HEAD[:-2], 1)]
    )
    def test_incomplete_heads_time_out(self, serve: Any, sent: bytes, answers: int) -> None:
        assert serve().raw(sent).count(b"HTTP/1.1 202 ") == answers

    def test_a_connection_without_any_bytes_times_out(self, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "KEEP_ALIVE_S", 1)
        assert serve().raw() == b""

    def test_heads_get_no_more_time_if_they_arrive_byte_by_byte(self, serve: Any) -> None:
        with socket.create_connection(("127.0.0.1", serve().listener.port)) as connection:
            connection.settimeout(0.02)
            for sent in range(500):
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(HEAD[:20][sent : sent + 1] or b"x")
                try:
                    assert connection.recv(1) == b""
                except TimeoutError:
                    continue
                except ConnectionResetError:
                    pass
                return
        pytest.fail("the connection is still open")

    def test_bodies_of_refused_requests_time_out(self, serve: Any) -> None:
        with socket.create_connection(("127.0.0.1", serve().listener.port), timeout=10) as connection:
            connection.sendall(HEAD.replace(b"/", b"/none", 1))
            assert connection.recv(4096).startswith(b"HTTP/1.1 404 ")
            connection.sendall(b"[")
            assert connection.recv(4096) == b""

    def test_complete_heads_are_followed_by_bodies_and_other_requests_in_their_own_time(self, serve: Any) -> None:
        with socket.create_connection(("127.0.0.1", serve().listener.port)) as connection:
            for _ in range(2):
                for piece in (HEAD, b"[]"):
                    connection.settimeout(0.6)
                    with pytest.raises(TimeoutError):
                        connection.recv(1)
                    connection.sendall(piece)
                connection.settimeout(10)
                assert connection.recv(4096).startswith(b"HTTP/1.1 202 ")


def test_the_metrics_server_accepts_posts_and_counts_them() -> None:
    metrics = Metrics()
    source = HttpSource(kind="http", token=TOKEN)
    queue = IntakeQueue(10, 1 << 20)
    metrics(queue.depth())
    server = HttpServer("127.0.0.1", 0, metrics, Health(["intake"], 60), Status(), Intake(source, queue, metrics))
    server.start()
    try:
        with plain_http.Client(base_url=server.url) as client:
            assert client.get("/").status_code == 200
            assert client.post("/", content=b"[]").status_code == 401
            assert client.post("/", content=b"[]", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 202
            assert client.post("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 404
            metrics(queue.depth())
            text = client.get("/metrics").text
    finally:
        server.stop()
    expected = {"accepted": 1, "ignored": 0, "shed": 0, "refused": 1, "unauthorized": 1, "too_large": 0}
    for outcome, count in expected.items():
        assert f'driftwatch_intake_requests_total{{outcome="{outcome}"}} {count}.0' in text
    assert "driftwatch_intake_queue_messages 1.0" in text
    assert "driftwatch_intake_queue_bytes 2.0" in text
