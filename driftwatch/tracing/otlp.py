"""Sends spans to a collector by OpenTelemetry's SDK: in batches, from its own thread, dropping what is too much."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as OpenTelemetrySpan

from driftwatch import __version__
from driftwatch.config import TracingConfig
from driftwatch.tracing.context import is_sampled
from driftwatch.tracing.tracer import Span, Stage

MOST_LINKS = 128
"""OpenTelemetry's own limit; the newest links are kept."""

CLOSE_S = 1.5
"""How long a stopping daemon waits for the collector; less than the time it has to stop."""

KINDS: Mapping[Stage, SpanKind] = {
    "intake": SpanKind.SERVER,
    "forward": SpanKind.PRODUCER,
    "decode": SpanKind.CONSUMER,
    "alert": SpanKind.PRODUCER,
    "deliver": SpanKind.CLIENT,
}
CONVENTIONAL = {
    "topic": "messaging.destination.name",
    "partition": "messaging.destination.partition.id",
    "offset": "messaging.kafka.offset",
    "status": "http.response.status_code",
}
"""Attributes for which OpenTelemetry has names; all others get driftwatch's prefix."""

log = structlog.get_logger("driftwatch.tracing")


class OtlpTracer:
    """Sends spans by OTLP over HTTP.

    Args:
        config: where to, and which.
    """

    def __init__(self, config: TracingConfig) -> None:
        sampler = None if config.sample_ratio is None else ParentBased(TraceIdRatioBased(config.sample_ratio))
        # The SDK's own shutdown at exit would wait for a collector that is away.
        self._provider = TracerProvider(sampler, _resource(config), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_LoggingExporter(_exporter(config))))
        self._tracer = self._provider.get_tracer("driftwatch", __version__)

    @contextmanager
    def span(
        self, stage: Stage, *, parent: str = "", links: Sequence[str] = (), **attributes: str | int | float
    ) -> Iterator[Span]:
        """See `Tracer.span`."""
        span = self._tracer.start_span(
            stage,
            context=set_span_in_context(NonRecordingSpan(_parsed(parent)), Context()) if parent else Context(),
            kind=KINDS.get(stage, SpanKind.INTERNAL),
            links=[Link(_parsed(each)) for each in _distinct(links)],
            attributes=_named(attributes),
        )
        running = _OtlpSpan(span)
        try:
            yield running
        except Exception as error:
            running.fail(str(error) or type(error).__name__)
            raise
        finally:
            span.end()

    def close(self) -> None:
        """See `Tracer.close`."""
        closing = threading.Thread(target=self._provider.shutdown, name="tracing", daemon=True)
        closing.start()
        closing.join(CLOSE_S)


class _OtlpSpan:
    """An OpenTelemetry span with the interface that the stages use."""

    def __init__(self, span: OpenTelemetrySpan) -> None:
        self._span = span

    @property
    def context(self) -> str:
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def set(self, **attributes: str | int | float) -> None:
        self._span.set_attributes(_named(attributes))

    def fail(self, why: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, why))


class _LoggingExporter(SpanExporter):
    """Logs once that traces do not arrive, and once that they do again; OpenTelemetry logs it for each batch."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._lost = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except OSError:  # so do the exporters before 1.40, of a collector that cannot be reached
            result = SpanExportResult.FAILURE
        if (lost := result is not SpanExportResult.SUCCESS) != self._lost:
            self._lost = lost
            if lost:
                log.warning("traces do not reach the collector, and are dropped; check tracing.endpoint and headers")
            else:
                log.info("traces reach the collector again")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _exporter(config: TracingConfig) -> OTLPSpanExporter:
    endpoint = f"{config.endpoint.rstrip('/')}/v1/traces" if config.endpoint else None
    return OTLPSpanExporter(endpoint, headers=config.headers or None)


def _resource(config: TracingConfig) -> Resource:
    """The sender of the spans: as configured, else as the environment says, else driftwatch."""
    defaults = Resource({SERVICE_NAME: "driftwatch", SERVICE_VERSION: __version__})
    configured = Resource({SERVICE_NAME: config.service_name} if config.service_name else {})
    return defaults.merge(OTELResourceDetector().detect()).merge(configured)


def _distinct(links: Sequence[str]) -> list[str]:
    sampled = [each for each in dict.fromkeys(reversed(links)) if is_sampled(each)]
    return sampled[:MOST_LINKS]


def _named(attributes: Mapping[str, str | int | float]) -> dict[str, str | int | float]:
    return {CONVENTIONAL.get(name, f"driftwatch.{name}"): value for name, value in attributes.items()}


def _parsed(context: str) -> SpanContext:
    _, trace, span, flags = context.split("-")
    return SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
