"""Dead letters where there is no topic for them: the last ones, in a file of bounded size."""

from __future__ import annotations

import base64
from pathlib import Path

import orjson
import structlog

from driftwatch.errors import MessageError
from driftwatch.stream.alert import rfc3339
from driftwatch.stream.log import Record
from driftwatch.stream.state_file import append_whole

FILE_BYTES = 8 << 20
"""At this size the file is renamed, in place of the one before, and a new one begins."""

VALUE_BYTES = 64 << 10
"""Longer bodies are left out."""

log = structlog.get_logger("driftwatch.intake")


class DeadLetterFile:
    """Lines of JSON, the newest last; readable by the daemon's own user alone, since messages hold samples.

    Args:
        path: of the file; the one before it has ``.1`` at the end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, record: Record, error: MessageError) -> None:
        """Adds a message and what is wrong with it; a file that cannot be written is logged, and the stream goes on."""
        line = {
            "time": rfc3339(record.timestamp_ms),
            "offset": record.offset,
            "reason": error.reason,
            "error": str(error)[:1000],
            "headers": {name: value.decode(errors="replace") for name, value in record.headers},
            "bytes": len(record.value),
            "value": base64.b64encode(record.value).decode() if len(record.value) <= VALUE_BYTES else None,
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if not self._path.exists():
                self._path.touch(0o600)
            if append_whole(self._path, orjson.dumps(line) + b"\n") > FILE_BYTES:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        except OSError as fault:
            log.warning("dead letter not kept", path=str(self._path), error=fault.strerror)
