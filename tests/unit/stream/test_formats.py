"""Data written by a newer version are refused with the remedy, and never skipped."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from driftwatch.errors import MessageError, SourceError
from driftwatch.stats.sums import keep
from driftwatch.stream import announcement
from driftwatch.stream.alert import rfc3339
from driftwatch.stream.formats import NewerFormatError
from driftwatch.stream.pane_codec import decode_pane, encode_pane
from driftwatch.stream.panes import Pane
from driftwatch.stream.policy import PolicyState
from driftwatch.stream.positions import parse_position
from driftwatch.stream.rewind import parse_rewind
from driftwatch.stream.sighting import Sighting, decode_sighting, encode_sighting
from driftwatch.stream.snapshot import load_snapshot
from driftwatch.stream.state_codec import parse_state
from driftwatch.stream.test_stage import SILENCE, TestStage

PANE = Pane("a", "v", 1, keep(np.zeros(3)), 0, 0, "input", 0, (0, 0), (0, 0))


def test_an_unreadable_state_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read: Is a directory"):
        load_snapshot(tmp_path)


def snapshot(text: bytes) -> None:
    path = Path("newer.json")
    path.write_bytes(text)
    load_snapshot(path)


@pytest.mark.parametrize(
    ("read", "written", "message"),
    [
        (decode_pane, encode_pane(PANE).replace(b'"format":3', b'"format":4'), "a pane has format 4"),
        (
            decode_sighting,
            encode_sighting(Sighting("a", "input", 0)).replace(b'"sighting":1', b'"sighting":7'),
            "a sighting has format 7",
        ),
        (lambda text: parse_position(5, text), '{"format": 3, "seen": 0, "marks": {}}', "position at offset 5"),
        (parse_rewind, '{"format": 2}', "position in the panes log has format 2"),
        (announcement.decode, b'{"type": "io.driftwatch.drift.v2"}', "alert of type io.driftwatch.drift.v2"),
        (announcement.decode, b'{"type": "io.driftwatch.quiet.v3"}', "alert of type io.driftwatch.quiet.v3"),
        (snapshot, b'{"format": 2}', "newer.json: the state has format 2"),
    ],
)
def test_a_newer_format_is_refused(
    read: Callable[[bytes | str], object],
    written: bytes | str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NewerFormatError, match=message) as refused:
        read(written)
    assert "install the driftwatch that wrote it" in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "more", "unfinished"), [(1, b"", False), (2, b',"seen_ms":9', True)], ids=["whole", "piece"]
)
def test_panes_of_older_writers_are_read(kind: int, more: bytes, unfinished: bool) -> None:
    head = (
        b'{"format":%d,"stream":"a","reference":"v","n":1,"start_ms":0,"end_ms":0,"topic":"input","partition":0,'
        b'"first":[0,0],"last":[0,0],"values":3%s}\n'
    )
    pane = decode_pane(head % (kind, more) + np.array([1.0, 1 / 3, -1e300]).astype("<f8").tobytes())
    assert pane.summary.tolist() == [1.0, 10923 / 32768, -1e300], "rounded to the grid, so that sums are exact"
    assert pane.unfinished == unfinished
    again = decode_pane(encode_pane(pane))
    assert again.summary.tolist() == pane.summary.tolist()
    assert replace(again, sums=PANE.sums) == replace(pane, sums=PANE.sums)


def test_positions_and_states_of_older_writers_are_read(tmp_path: Path) -> None:
    assert parse_position(5, '{"seen":2,"marks":{"a":[0,3]}}').marks == {"a": (5, 3)}
    assert parse_rewind('{"rewind": 3}') == 3
    state = {"reference": "v", "firing": True, "severity": "warning", "quiet": 1, "since_ms": 9}
    assert parse_state(state, "here").policy == PolicyState(True, "warning", 1, 9, "v")
    pane = base64.b64encode(encode_pane(PANE)).decode()
    older = {"offset": 5, "metadata": "", "started_ms": 0, "next_pane": 1, "states": {"a": state}, "panes": [pane]}
    path = tmp_path / "older.json"
    path.write_bytes(orjson.dumps(older))
    found = load_snapshot(path)
    assert found is not None
    assert found.states == {"a": state}


STATE = {"reference": "v", "firing": True, "severity": "warning", "quiet": 1, "since_ms": 9}
SILENCE_STATE = {"topic": "input", "places": {"0": [7, 9, -1]}, "firing": None, "since_ms": 0}


@pytest.mark.parametrize(
    "states",
    [
        {"a": {}},
        {"a": STATE | {"quiet": "often"}},
        {"a": STATE | {"others": []}},
        {"a": STATE | {"anytime": {"martingale": {}}}},
        {"a": STATE | {"by_time": 7}},
        {f"a{SILENCE}": {}},
        {f"a{SILENCE}": SILENCE_STATE | {"places": [7]}},
        {f"a{SILENCE}": SILENCE_STATE | {"places": {"0": [7, 9, -1, 2]}}},
        {f"a{SILENCE}": SILENCE_STATE | {"firing": {"severity": "warning"}}},
    ],
    ids=str,
)
def test_a_damaged_state_is_reported_with_its_stream_and_the_remedy(states: dict[str, dict[str, Any]]) -> None:
    standard: Any = "of a configured stream, and not needed before its state is read"
    with pytest.raises(SourceError, match=r"state of stream a: is not a valid state .*\(delete it to start afresh\)"):
        TestStage(lambda *_: standard, states=states)


def test_times_of_panes_of_older_writers_are_limited_to_valid_dates() -> None:
    pane = decode_pane(encode_pane(replace(PANE, start_ms=-(1 << 50), end_ms=1 << 50)))
    assert (rfc3339(pane.start_ms)[:4], rfc3339(pane.end_ms)[:4]) == ("0001", "9999")


@pytest.mark.parametrize("foreign", [b'{"format":"csv","stream":"a"}\n', b'{"format":4,"rows":[]}\n', b"[4]\n"])
def test_a_foreign_message_is_distinguished_from_a_newer_pane(foreign: bytes) -> None:
    """One in the panes topic ended every daemon that tested, again after each restart."""
    with pytest.raises(MessageError, match="is not a pane"):
        decode_pane(foreign)


def test_a_foreign_event_is_distinguished_from_a_newer_alert() -> None:
    with pytest.raises(MessageError, match="not an alert of driftwatch"):
        announcement.decode(b'{"type": "com.example.order.v9"}')
