"""The daemon's log: JSON lines for machines, readable lines for people, and never a secret."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

from driftwatch.terminal import printable

SECRET = re.compile(r"password|passwd|secret|token|authorization|credential|api_?key|routing_key", re.IGNORECASE)
MASK = "***"
LEAST = {
    # At debug it tells passwords: in its configuration, and in each message to a broker that has them.
    "kafka": (logging.ERROR, logging.INFO),
    "uvicorn": (logging.WARNING, logging.DEBUG),
    # It tells whole addresses, of which those of webhooks are secrets.
    "httpx": (logging.WARNING, logging.WARNING),
    "httpcore": (logging.WARNING, logging.INFO),
    # Where fsspec's libraries found credentials is of interest once something is wrong; at debug they tell tokens.
    "botocore": (logging.WARNING, logging.INFO),
    "aiobotocore": (logging.WARNING, logging.INFO),
    # What it says of every batch that did not arrive, driftwatch.tracing says once.
    "opentelemetry.exporter": (logging.CRITICAL, logging.DEBUG),
    "opentelemetry.sdk._shared_internal": (logging.CRITICAL, logging.DEBUG),
}
"""How grave it must be for a library to be heard, and at ``debug``."""


def configure_logging(level: str = "info", format: Literal["auto", "json", "console"] = "auto") -> None:  # noqa: A002
    """Sets up structlog, and Python's own logging to go the same way; to stderr.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``; libraries speak up at ``debug`` only.
        format: ``console`` for people, ``json`` for machines, ``auto`` by whether stderr is a terminal.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    console = format == "console" or (format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
    ]
    if console:
        colors = sys.stderr.isatty()
        last: list[Processor] = [
            _show,
            structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),
        ]
    else:
        # Without local variables, among which are passwords and samples.
        tracebacks = ExceptionDictTransformer(show_locals=False)
        last = [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    if number > logging.DEBUG:
        handler.addFilter(Sparing("kafka"))
    logging.basicConfig(level=number, handlers=[handler], force=True)
    for name, (usual, at_debug) in LEAST.items():
        logging.getLogger(name).setLevel(at_debug if number == logging.DEBUG else max(number, usual))
    threading.excepthook = _log_crash


def log_to_stderr() -> None:
    """Keeps a command's log out of its output, which may be JSON; by itself structlog writes to stdout."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


class Sparing(logging.Filter):
    """Lets a library say the same thing once in a while only; kafka-python repeats itself while a broker is away.

    Args:
        library: whose records are thinned, by the first part of the logger's name.
        every_s: seconds that must lie between two records that one line of the library's code writes.
    """

    def __init__(self, library: str, every_s: float = 30.0) -> None:
        super().__init__()
        self._library, self._every_s = library, every_s
        self._last: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is to be written."""
        if record.name.partition(".")[0] != self._library:
            return True
        place = (record.pathname, record.lineno)
        said, now = self._last.get(place), time.monotonic()
        if said is not None and now - said < self._every_s:
            return False
        self._last[place] = now
        return True


def _log_crash(crash: threading.ExceptHookArgs) -> None:
    """A thread's unforeseen error goes to the log as all else does, not to stderr between its lines."""
    if crash.exc_value is None:
        return
    told = (crash.exc_type, crash.exc_value, crash.exc_traceback)
    structlog.get_logger("driftwatch").critical(
        "crashed: a fault in driftwatch, please report it", thread=getattr(crash.thread, "name", ""), exc_info=told
    )


def _show(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Shows what would steer a terminal; JSON escapes it by itself."""
    return {printable(key): printable(told) if isinstance(told, str) else told for key, told in event.items()}


def mask_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hides the values of keys that look as if they held secrets.

    >>> mask_secrets(None, "info", {"event": "x", "sasl_password": "hunter2"})
    {'event': 'x', 'sasl_password': '***'}
    """
    for key in event:
        if SECRET.search(key):
            event[key] = MASK
    return event
