"""Dead letters where there is no topic for them: the latest, in a file of bounded size."""

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
"""At this size the file is renamed, replacing the previous one, and a new one begins."""

VALUE_BYTES = 64 << 10
"""Longer bodies are left out."""

log = structlog.get_logger("driftwatch.intake")


def intake_dead_letters(state_dir: Path | None) -> DeadLetterFile | None:
    """The file of an intake's dead letters; None without a folder for it."""
    return DeadLetterFile(state_dir / "intake.dead-letters.jsonl") if state_dir else None


class DeadLetterFile:
    """Lines of JSON, newest last; readable by the daemon's user alone, since messages hold samples.

    Args:
        path: of the file; the previous one has the suffix ``.1``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failures = 0

    def write(self, record: Record, error: MessageError) -> None:
        """Append a message and its error; if that fails, it is logged for the 1st, 2nd, 4th, ... time, and no more."""
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
            self._failures += 1
            if self._failures & (self._failures - 1) == 0:
                log.warning("dead letter not kept", path=str(self._path), error=fault.strerror, count=self._failures)
