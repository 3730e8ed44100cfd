"""A trace collector: accepts OTLP over HTTP, as OpenTelemetry's own does, and keeps the spans."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.patience import PATIENCE_S
from tests.receiver import Answer, Receiver, receiver

FAILED = 2


@dataclass(frozen=True)
class CollectedSpan:
    """A span that arrived; ids are hexadecimal, as in ``traceparent``."""

    name: str
    trace: str
    id: str
    parent: str
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, Any]
    failed: str | None
    service: str

    @property
    def context(self) -> str:
        return f"00-{self.trace}-{self.id}-01"

    @property
    def place(self) -> tuple[str, str]:
        """The ids by which a link refers to this span."""
        return self.trace, self.id


@dataclass(frozen=True)
class Collector:
    """The requests of a receiver, read as spans."""

    receiver: Receiver

    @property
    def url(self) -> str:
        return self.receiver.url.removesuffix("/hook")

    def spans(self, name: str = "") -> list[CollectedSpan]:
        """The spans that have arrived: all, or those with a name."""
        found = []
        for request in list(self.receiver.received):
            assert request.path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans:
                service = _values(resource.resource.attributes)["service.name"]
                found += [_span(span, service) for scope in resource.scope_spans for span in scope.spans]
        return [span for span in found if name in ("", span.name)]

    def wait_for(self, name: str, enough: Callable[[list[CollectedSpan]], bool] = bool) -> list[CollectedSpan]:
        """Wait until enough spans of a name have arrived, and return them."""
        pause, deadline = threading.Event(), time.monotonic() + PATIENCE_S
        while not enough(found := self.spans(name)):
            assert time.monotonic() < deadline, f"only {[span.name for span in self.spans()]} in {PATIENCE_S:.0f} s"
            pause.wait(0.05)
        return found


def _span(span: Any, service: str) -> CollectedSpan:
    return CollectedSpan(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        _values(span.attributes),
        span.status.message if span.status.code == FAILED else None,
        service,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextmanager
def collector(*answers: Answer) -> Iterator[Collector]:
    """A running collector; it answers 200 unless other answers are given."""
    with receiver(*(answers or (Answer(200),))) as running:
        yield Collector(running)
