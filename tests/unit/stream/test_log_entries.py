"""Messages of the panes log are read together; one that holds nothing takes no other with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from driftwatch.errors import MessageError
from driftwatch.stats.sums import keep
from driftwatch.stream.gaps import Gap, encode_gap
from driftwatch.stream.log import Record
from driftwatch.stream.pane_codec import encode_pane
from driftwatch.stream.panes import Pane
from driftwatch.stream.sighting import Sighting, encode_sighting
from driftwatch.stream.test_role import entries_of

GAP, SIGHTING = Gap("input", 0, 3, 9, "retention"), Sighting("a", "input", 0)
OLDER = (
    b'{"format":1,"stream":"a","reference":"v","n":1,"start_ms":0,"end_ms":0,"topic":"input","partition":0,'
    b'"first":[0,0],"last":[0,0],"values":2}\n' + np.array([2.0, 3.0]).astype("<f8").tobytes()
)


def pane(*values: float) -> Pane:
    return Pane("a", "v", 1, keep(np.array(values)), 0, 0, "input", 0, (0, 0), (0, 0))


def test_each_message_of_the_log_holds_what_was_written_or_says_what_is_wrong() -> None:
    values = [
        encode_pane(pane(1.0, 2.0)),
        encode_gap(GAP),
        b"{",
        encode_pane(pane(3.0, 1e300)),
        encode_pane(pane(4.0, 5.0))[:-1],
        encode_sighting(SIGHTING),
        encode_gap(GAP)[:-1],
        OLDER,
        OLDER[:-8],
        OLDER[:-1],
        encode_pane(pane(6.0, 7.0)).replace(b'"first"', b'"worst"'),
        encode_pane(pane(8.0)).partition(b"\n")[0],
        encode_pane(pane(9.0, 10.0, 11.0)),
        encode_pane(pane(12.0, 13.0)),
    ]
    records = [Record("panes", 0, offset, 100 + offset, b"a", value, ()) for offset, value in enumerate(values)]
    found = entries_of(records)
    sums = {place: each.summary.tolist() for place, each in enumerate(found) if isinstance(each, Pane)}
    assert sums == {0: [1.0, 2.0], 3: [3.0, 1e300], 7: [2.0, 3.0], 12: [9.0, 10.0, 11.0], 13: [12.0, 13.0]}
    last = found[13]
    assert isinstance(last, Pane)
    assert (last.number, last.logged_ms) == (13, 113)
    assert last == replace(pane(12.0, 13.0), sums=last.sums)
    assert (found[1], found[5]) == (GAP, SIGHTING)
    errors = {place: str(each) for place, each in enumerate(found) if isinstance(each, MessageError)}
    assert errors.keys() == {2, 4, 6, 8, 9, 10, 11}
    assert errors[4] == "does not hold 2 packed numbers"
    assert errors[8] == "holds 1 numbers instead of 2"
    assert errors[10] == "is not a pane: 'first'"
