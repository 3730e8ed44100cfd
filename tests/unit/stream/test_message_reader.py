"""A message of no configured stream is rejected with the names that there are."""

from __future__ import annotations

import pytest

from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.log import Record
from driftwatch.stream.reading import MessageReader, Route
from driftwatch.stream.sampling import Share


@pytest.mark.parametrize(
    ("count", "named"), [(8, "m0, m1, m2, m3, m4, m5, m6, m7)"), (11, "m0, m1, m10, m2, m3, m4, m5, m6 or 3 more)")]
)
def test_a_message_of_no_configured_stream_names_some_that_are(reference: Reference, count: int, named: str) -> None:
    routes = {name: Route(name, Scorer(reference)) for name in (f"m{number}" for number in range(count))}
    record = Record("input", 0, 0, 1_000, b"nobody", b"")
    reading = MessageReader().read(record, None, routes, Share())
    assert str(reading.error).endswith(f"to a configured one: {named}")
