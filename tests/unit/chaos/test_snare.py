"""Requests are reassembled from any pieces, and the snare holds the one that it waits for, and no other."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.snare import END_TRANSACTION, PRODUCE, Moment, Requests, Snare


def request(key: int, body: bytes = b"") -> bytes:
    content = key.to_bytes(2) + b"\0\1\0\0\0\7" + body
    return len(content).to_bytes(4) + content


@given(st.lists(st.binary(max_size=40)), st.data())
def test_requests_are_reassembled_from_any_pieces(bodies: list[bytes], data: st.DataObject) -> None:
    sent = [request(PRODUCE, body) for body in bodies]
    stream, found, requests = b"".join(sent), list[bytes](), Requests()
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += requests.feed(stream[:size])
        stream = stream[size:]
    assert found == sent


def test_the_first_request_of_the_moment_is_held_until_it_is_released() -> None:
    snare, passed = Snare(), threading.Event()
    wanted = request(END_TRANSACTION, b"\x14group.score.b\x00")

    def forward() -> None:
        for each in (request(END_TRANSACTION), request(PRODUCE, b"group.score.a"), wanted):
            with snare.passing(each):
                if each == wanted:
                    passed.set()

    for arrived in (False, True):
        passed.clear()
        passing = threading.Thread(target=forward)
        with snare.at(Moment(END_TRANSACTION, arrived), patience_s=0.0) as nobody:
            assert nobody is None
        waiter = threading.Timer(0.05, passing.start)
        waiter.start()
        with snare.at(Moment(END_TRANSACTION, arrived), patience_s=30.0) as instance:
            assert instance == "b"
            assert passed.is_set() == arrived
            assert passing.is_alive()
        passing.join(30.0)
        assert passed.is_set()
