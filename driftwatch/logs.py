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
LIBRARY_LEVELS = {
    # At debug it logs passwords: in its configuration, and in each message to a broker that has them.
    "kafka": (logging.ERROR, logging.INFO),
    "uvicorn": (logging.WARNING, logging.DEBUG),
    # It logs whole addresses, and those of webhooks are secrets.
    "httpx": (logging.WARNING, logging.WARNING),
    "httpcore": (logging.WARNING, logging.INFO),
    # Where credentials were found is of interest only once something is wrong; at debug, tokens are logged.
    "botocore": (logging.WARNING, logging.INFO),
    "aiobotocore": (logging.WARNING, logging.INFO),
    # It logs every batch that did not arrive; driftwatch.tracing logs that once.
    "opentelemetry.exporter": (logging.CRITICAL, logging.DEBUG),
    "opentelemetry.sdk._shared_internal": (logging.CRITICAL, logging.DEBUG),
}
"""The lowest levels at which libraries are logged: normally, and at ``debug``."""

REPEAT_S = 30.0
"""Least time between two records from one line of a library's code."""


def configure_logging(level: str = "info", format: Literal["auto", "json", "console"] = "auto") -> None:  # noqa: A002
    """Set up structlog, and route Python's own logging through it; to stderr.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``; libraries log their details at ``debug`` only.
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
            _escape,
            structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),
        ]
    else:
        # Without local variables, which include passwords and samples.
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
        handler.addFilter(RepeatFilter("kafka"))
    logging.basicConfig(level=number, handlers=[handler], force=True)
    for name, (usual, at_debug) in LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(at_debug if number == logging.DEBUG else max(number, usual))
    threading.excepthook = _log_crash


def log_to_stderr() -> None:
    """Keep a command's log, without its details, out of its output; by default structlog writes all of it to stdout."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


class RepeatFilter(logging.Filter):
    """Passes a library's record only now and then if it repeats; kafka-python repeats itself while a broker is away.

    Args:
        library: whose records are thinned, by the first part of the logger's name.
    """

    def __init__(self, library: str) -> None:
        super().__init__()
        self._library = library
        self._last: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write a record."""
        if record.name.partition(".")[0] != self._library:
            return True
        place = (record.pathname, record.lineno)
        last, now = self._last.get(place), time.monotonic()
        if last is not None and now - last < REPEAT_S:
            return False
        self._last[place] = now
        return True


def _log_crash(crash: threading.ExceptHookArgs) -> None:
    """Log a thread's unexpected error like everything else, instead of printing it between the lines on stderr."""
    if crash.exc_value is None:
        return
    exc_info = (crash.exc_type, crash.exc_value, crash.exc_traceback)
    structlog.get_logger("driftwatch").critical(
        "crashed: a bug in driftwatch, please report it", thread=getattr(crash.thread, "name", ""), exc_info=exc_info
    )


def _escape(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape what would control a terminal; JSON escapes it anyway."""
    return {printable(key): printable(value) if isinstance(value, str) else value for key, value in event.items()}


def mask_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide the values of keys that look like secrets.

    >>> mask_secrets(None, "info", {"event": "x", "sasl_password": "hunter2"})
    {'event': 'x', 'sasl_password': '***'}
    """
    for key in event:
        if SECRET.search(key):
            event[key] = MASK
    return event
