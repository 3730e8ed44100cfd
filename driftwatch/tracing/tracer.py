"""Spans, as the stages know them; and the tracer that does nothing, which is the one in use unless asked otherwise."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Literal, Protocol, Self

from driftwatch.config import TracingConfig
from driftwatch.errors import ConfigError

Stage = Literal["intake", "forward", "decode", "score", "commit", "test", "alert", "deliver"]
"""What a span is named after."""


class Span(Protocol):
    """A piece of work while it goes on."""

    @property
    def context(self) -> str:
        """For what this leads to, be it sampled or not; empty if nothing is traced at all."""

    def tell(self, **attributes: str | int | float) -> None:
        """Adds what is known by now."""

    def fail(self, why: str) -> None:
        """Says that it did not work out."""


class Tracer(Protocol):
    """Records spans. Thread-safe; never waits, and never raises an error of its own."""

    def span(
        self, stage: Stage, *, parent: str = "", links: Sequence[str] = (), **attributes: str | int | float
    ) -> AbstractContextManager[Span]:
        """A span that lasts as long as it is entered.

        Args:
            stage: its name.
            parent: context of what it is a part of; it begins a trace of its own if empty.
            links: contexts of what led to it; those that are not sampled count for nothing.
            attributes: what is known of it beforehand.
        """

    def close(self) -> None:
        """Sends what is left, for a short while."""


class _Untraced:
    """Tracer and span in one; records nothing and holds nothing."""

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

    def tell(self, **attributes: str | int | float) -> None:
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
    """The tracer that a configuration asks for.

    Raises:
        ConfigError: OpenTelemetry is not installed, or does not take the configuration.
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
