"""Traces from a message to an alert: W3C trace context, spans, and OpenTelemetry if it is configured."""

from __future__ import annotations

from driftwatch.tracing.context import context_of, is_sampled, trace_headers, valid_context
from driftwatch.tracing.tracer import UNTRACED, Span, Stage, Tracer, open_tracer

__all__ = [
    "UNTRACED",
    "Span",
    "Stage",
    "Tracer",
    "context_of",
    "is_sampled",
    "open_tracer",
    "trace_headers",
    "valid_context",
]
