"""Reports what goes wrong, once and then now and then: a log must not grow with the traffic."""

from __future__ import annotations

import logging
import threading
import time

EVERY_S = 60.0
LOGGER = logging.getLogger("driftwatch.client")


class Complaints:
    """Warnings to the logger ``driftwatch.client``, each kind at most once a minute, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}

    def say(self, kind: str, what: str) -> None:
        """Warn, unless this kind was warned of recently.

        Args:
            kind: a short name, one of few.
            what: what happened, and what can be done.
        """
        now = time.monotonic()
        with self._lock:
            warned = self._last.get(kind)
            if warned is not None and now - warned < EVERY_S:
                return
            self._last[kind] = now
        LOGGER.warning("driftwatch: %s", what)
