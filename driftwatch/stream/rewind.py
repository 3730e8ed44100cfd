"""How far a later tester must rewind to refill its windows, as the metadata committed with an offset."""

from __future__ import annotations

import orjson

from driftwatch.errors import SourceError
from driftwatch.stream.formats import require_format
from driftwatch.stream.topic_identity import FIELD

FORMAT = 1
"""Format of the metadata; format 1 carries no number."""


def rewind_metadata(rewind: int, identity: str = "") -> str:
    """Metadata to commit with the offset: how many messages before it the windows reach back, and in which topic."""
    return orjson.dumps({"rewind": rewind, **({FIELD: identity} if identity else {})}).decode()


def parse_rewind(metadata: str) -> int:
    """The inverse of `rewind_metadata`.

    Raises:
        SourceError: another program, or a newer driftwatch, has committed to this group.
    """
    try:
        stored = orjson.loads(metadata) if metadata else {"rewind": 0}
        require_format(stored.get("format", 1), FORMAT, what="the position in the panes log", where="source.group")
        return int(stored["rewind"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SourceError(
            f"the group's offset was committed with metadata that driftwatch did not write: {metadata[:80]!r}",
            where="source.group",
            remedy="use a consumer group for driftwatch alone",
        ) from None
