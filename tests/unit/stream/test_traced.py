"""From a message to an alert in the sender's trace; and the alert is the same, to the byte, traced or not."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np
import orjson
import pytest

from driftwatch.config import TracingConfig
from driftwatch.data.codecs import encode
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.alert import Alert, decode_alert, encode_alert
from driftwatch.stream.log import Record
from driftwatch.stream.pane_codec import decode_pane, encode_pane
from driftwatch.stream.panes import Pane
from driftwatch.stream.reading import Route
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.test_stage import Tests, TestStage
from driftwatch.tracing import UNTRACED, Tracer, open_tracer
from tests.collector import CollectedSpan, collector
from tests.standards import STEP, standards_of
from tests.synthetic import SCHEMA, shuffled_rows, waves

BATCH = 4
STANDARDS = standards_of([20])


def trace(number: int) -> str:
    return f"{number + 1:032x}"


def context(number: int, flags: str = "01") -> str:
    return f"00-{trace(number)}-{number + 1:016x}-{flags}"


def message(offset: int, samples: np.ndarray, traceparent: str = "") -> Record:
    value, headers = encode(samples, SCHEMA, "npy")
    trace_header: Mapping[str, bytes] = {"traceparent": traceparent.encode()} if traceparent else {}
    return Record("input", 0, offset, 1_000 + offset, b"waves", value, (*headers.items(), *trace_header.items()))


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Messages with sampled traces, except every third, which its sender did not sample; one message is malformed."""
    samples = np.concatenate([waves(60, seed=31), shuffled_rows(waves(40, seed=32))])
    made = [
        message(i, samples[i * BATCH : (i + 1) * BATCH], context(i, "00" if i % 3 == 2 else "01"))
        for i in range(len(samples) // BATCH)
    ]
    malformed = Record("input", 0, len(made), 2_000, b"waves", b"rubbish", (("traceparent", context(90).encode()),))
    return [*made, malformed]


def panes_of(reference: Reference, records: list[Record], tracer: Tracer = UNTRACED) -> tuple[list[Pane], str]:
    stage = ScoreStage({"waves": Route("waves", Scorer(reference))}, STEP, tracer=tracer)
    work = stage.work(deque(records))
    return [decode_pane(encode_pane(pane)) for pane in work.panes], work.trace


def alerts_of(reference: Reference, panes: list[Pane], scored: str = "", tracer: Tracer = UNTRACED) -> list[Alert]:
    tests, stage = Tests(), TestStage(lambda stream, version: STANDARDS.standard(reference), tracer=tracer)
    with tracer.span("test", links=[scored]) as span:
        tests.trace = span.context
        for offset, pane in enumerate(panes):
            stage.feed(offset, pane, tests)
    return tests.alerts


def traced(reference: Reference, records: list[Record]) -> tuple[list[Alert], list[CollectedSpan]]:
    with collector() as endpoint:
        tracer = open_tracer(TracingConfig(endpoint=endpoint.url, headers={}))
        alerts = alerts_of(reference, *panes_of(reference, records, tracer), tracer)
        tracer.close()
        return alerts, endpoint.spans()


def test_the_trace_of_a_message_leads_to_the_alert_that_it_triggered(
    reference: Reference, records: list[Record]
) -> None:
    alerts, spans = traced(reference, records)
    (alert,) = alerts
    named = {name: [span for span in spans if span.name == name] for name in ("decode", "score", "test", "alert")}

    followed = [i for i in range(25) if i % 3 != 2]
    assert [span.trace for span in named["decode"]] == [*map(trace, followed), trace(90)]
    assert [span.parent for span in named["decode"]] == [f"{i + 1:016x}" for i in (*followed, 90)]
    assert [span.failed is not None for span in named["decode"]] == [False] * len(followed) + [True]
    assert {span.attributes.get("driftwatch.stream") for span in named["decode"][:-1]} == {"waves"}
    assert named["decode"][1].attributes == {
        "messaging.destination.name": "input",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 1,
        "driftwatch.stream": "waves",
        "driftwatch.samples": BATCH,
    }

    (scored,), (tested,), (announced,) = named["score"], named["test"], named["alert"]
    assert set(scored.links) == {span.place for span in named["decode"]}
    assert tested.links == (scored.place,)
    last = alert.window.offsets[0].last
    assert alert.trace == context(last if last % 3 != 2 else last - 1), "of the newest sampled message"
    assert announced.trace == alert.trace.split("-")[1]
    assert announced.context == alert.announced_in
    assert tested.place in announced.links
    assert announced.attributes["driftwatch.alert_id"] == alert.id


def test_an_alert_is_the_same_to_the_byte_traced_or_not(reference: Reference, records: list[Record]) -> None:
    first, second = traced(reference, records)[0], traced(reference, records)[0]
    (plain,) = untraced = alerts_of(reference, panes_of(reference, records)[0])
    assert list(map(encode_alert, first)) == list(map(encode_alert, second)) == list(map(encode_alert, untraced))
    assert first[0].announced_in != second[0].announced_in
    assert orjson.loads(encode_alert(plain))["traceparent"] == plain.trace
    assert decode_alert(encode_alert(plain)) == plain


def test_restarts_do_not_change_traces(reference: Reference, records: list[Record]) -> None:
    whole, _ = panes_of(reference, records)
    stage = ScoreStage({"waves": Route("waves", Scorer(reference))}, STEP)
    queue, panes = deque(records[:7]), list[Pane]()
    position = stage.work(queue).positions["input", 0]
    panes = [pane for pane in whole if pane.last[0] < 7]
    resumed = ScoreStage({"waves": Route("waves", Scorer(reference))}, STEP)
    resumed.assign(("input", 0), position)
    panes += resumed.work(deque(records[position.offset :])).panes
    assert list(map(encode_pane, panes)) == list(map(encode_pane, whole))


def test_a_message_that_was_already_processed_is_not_traced_again(reference: Reference, records: list[Record]) -> None:
    stage = ScoreStage({"waves": Route("waves", Scorer(reference))}, STEP)
    position = stage.work(deque(records[:7])).positions["input", 0]
    assert position.offset < 7, "a pane was not full"
    with collector() as endpoint:
        tracer = open_tracer(TracingConfig(endpoint=endpoint.url, headers={}))
        resumed = ScoreStage({"waves": Route("waves", Scorer(reference))}, STEP, tracer=tracer)
        resumed.assign(("input", 0), position)
        resumed.work(deque(records[position.offset :]))
        tracer.close()
        assert next(span.attributes["messaging.kafka.offset"] for span in endpoint.spans("decode")) == 7


def test_an_invalid_context_in_panes_and_alerts_is_ignored(reference: Reference, records: list[Record]) -> None:
    panes, _ = panes_of(reference, records)
    (alert,) = alerts_of(reference, panes)
    wrong = alert.trace.replace("00-", "99-").encode()
    assert decode_alert(encode_alert(alert).replace(alert.trace.encode(), wrong)).trace == ""
    pane = next(pane for pane in panes if pane.trace == alert.trace)
    assert decode_pane(encode_pane(pane).replace(alert.trace.encode(), wrong)).trace == ""


def test_without_contexts_panes_and_alerts_contain_none(reference: Reference, records: list[Record]) -> None:
    bare = [Record(r.topic, r.partition, r.offset, r.timestamp_ms, r.key, r.value, r.headers[:-1]) for r in records]
    panes, _ = panes_of(reference, bare)
    (alert,) = alerts_of(reference, panes)
    assert alert.trace == ""
    assert b"trace" not in encode_alert(alert) + b"".join(encode_pane(pane) for pane in panes)
    (announced,) = [span for span in traced(reference, bare)[1] if span.name == "alert"]
    assert announced.parent, "a child of its test"
