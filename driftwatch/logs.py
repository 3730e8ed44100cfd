"""The daemon's log: JSON lines for machines, readable lines for people, and never a secret."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog
from structlog.typing import Processor

SECRET = re.compile(r"password|passwd|secret|token|authorization|credential|api_?key", re.IGNORECASE)
MASK = "***"


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
        last: list[Processor] = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    else:
        last = [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
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
    logging.basicConfig(level=number, handlers=[handler], force=True)
    for name, least in (("kafka", logging.ERROR), ("uvicorn", logging.WARNING), ("httpx", logging.WARNING)):
        logging.getLogger(name).setLevel(number if number == logging.DEBUG else max(number, least))


def mask_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hides the values of keys that look as if they held secrets.

    >>> mask_secrets(None, "info", {"event": "x", "sasl_password": "hunter2"})
    {'event': 'x', 'sasl_password': '***'}
    """
    for key in event:
        if SECRET.search(key):
            event[key] = MASK
    return event
