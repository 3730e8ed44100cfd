"""Spans as the stages use them, and the tracer that does nothing, which is the default."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Literal, Protocol, Self

from driftwatch.config import TracingConfig
from driftwatch.errors import ConfigError

Stage = Literal["intake", "forward", "decode", "score", "commit", "test", "alert", "deliver"]
"""Name of a span."""


class Span(Protocol):
    """A piece of work in progress."""

    @property
    def context(self) -> str:
        """Context for what this leads to, whether sampled or not; empty if nothing is traced."""

    def set(self, **attributes: str | int | float) -> None:
        """Add attributes."""

    def fail(self, why: str) -> None:
        """Mark the span as failed."""


class Tracer(Protocol):
    """Records spans. Thread-safe; never waits, and never raises an error of its own."""

    def span(
        self, stage: Stage, *, parent: str = "", links: Sequence[str] = (), **attributes: str | int | float
    ) -> AbstractContextManager[Span]:
        """A span that lasts as long as the context is entered.

        Args:
            stage: its name.
            parent: context of the enclosing work; if empty, the span begins a new trace.
            links: contexts of what led to it; those that are not sampled are ignored.
            attributes: known beforehand.
        """

    def close(self) -> None:
        """Send remaining spans, for a short time."""


class _Untraced:
    """Tracer and span in one, which records nothing."""

    context = ""

    def span(
        self,
        stage: Stage,  # noqa: ARG002
        *,
        parent: str = "",  # noqa: ARG002
        links: Sequence[str] = (),  # noqa: ARG002
        **attributes: str | int | float,  # noqa: ARG002
    ) -> Self:
        return self

    def set(self, **attributes: str | int | float) -> None:
        pass

    def fail(self, why: str) -> None:
        pass

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


UNTRACED: Tracer = _Untraced()


def open_tracer(config: TracingConfig | None) -> Tracer:
    """The tracer for a configuration.

    Raises:
        ConfigError: OpenTelemetry is not installed, or rejects the configuration.
    """
    if config is None or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return UNTRACED
    try:
        from driftwatch.tracing.otlp import OtlpTracer
    except ImportError as error:
        raise ConfigError(
            f"traces need OpenTelemetry: {error}", where="tracing", remedy="pip install 'driftwatch[otel]'"
        ) from None
    return OtlpTracer(config)
