"""One HTTP POST to a receiver of alerts, and whether a failure is worth retrying."""

from __future__ import annotations

import math
import time
from email.utils import parsedate_to_datetime

import httpx

from driftwatch.alerts.attempts import TryAgain
from driftwatch.alerts.wording import shorten
from driftwatch.errors import SinkError

RETRIED_STATUS = frozenset({408, 425, 429})


def post(client: httpx.Client, url: str, body: bytes, content_type: str, sink: str) -> None:
    """Post once.

    Raises:
        TryAgain: there was no answer, or one that may change.
        SinkError: it was rejected, and would be again.
    """
    try:
        response = client.post(url, content=body, headers={"content-type": content_type})
    except httpx.HTTPError as error:
        raise TryAgain(f"{type(error).__name__}: {error}") from None
    if response.status_code in RETRIED_STATUS or response.status_code >= 500:
        raise TryAgain(f"answered {response.status_code}", _requested_s(response.headers.get("retry-after", "")))
    if not response.is_success:
        said = shorten(" ".join(response.text.split()), 200)
        raise SinkError(
            f"answered {response.status_code}{f' ({said})' if said else ''}, and would do so again",
            where=f"sink {sink}",
            remedy="check its url and headers",
        )


def _requested_s(retry_after: str) -> float:
    """Seconds in a Retry-After header, which may be a number or a date; 0 if it is neither."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except ValueError:
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0
