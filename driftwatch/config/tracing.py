"""Where traces go, and which of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from driftwatch.config.http import check_headers, check_url, origin
from driftwatch.settings import Settings


class TracingConfig(Settings):
    """A collector of OpenTelemetry traces; what is absent here comes from the usual ``OTEL_*`` variables."""

    endpoint: Annotated[
        str | None,
        AfterValidator(lambda url: url and check_url(url)),
        Field(
            repr=False,
            description="of a collector that accepts OTLP over HTTP, without /v1/traces; "
            "OTEL_EXPORTER_OTLP_ENDPOINT if absent, else http://localhost:4318",
        ),
    ] = None
    headers: Annotated[
        dict[str, str],
        AfterValidator(check_headers),
        Field(repr=False, default_factory=dict, description="sent with traces, such as an authorization"),
    ]
    sample_ratio: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="of the traces that begin here, one for each batch; a message's own trace is continued if its "
            "sender sampled it. OTEL_TRACES_SAMPLER if absent, else all",
        ),
    ] = None
    service_name: Annotated[
        str | None, Field(min_length=1, description="OTEL_SERVICE_NAME if absent, else driftwatch")
    ] = None

    @property
    def destination(self) -> str:
        """Where traces go, for display."""
        return origin(self.endpoint) if self.endpoint else "as the environment says"
