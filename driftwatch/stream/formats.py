"""Versions of stored formats: older ones are read, newer ones rejected with the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from driftwatch.errors import SourceError


class NewerFormatError(SourceError):
    """Something was written by a newer driftwatch; skipping it would lose it."""


def require_format(found: Any, known: int, *, what: str, where: str) -> None:
    """Reject a format that this driftwatch is too old to read.

    Args:
        found: the format's number.
        known: the newest that can be read.
        what: has that format.
        where: it was found.

    Raises:
        NewerFormatError: it is newer, or not a format number.
    """
    if not isinstance(found, int) or not 1 <= found <= known:
        raise NewerFormatError(
            f"{what} has format {found!r}; this driftwatch reads formats up to {known}",
            where=where,
            remedy="install the driftwatch that wrote it, or a newer one; nothing was changed",
        )


@contextmanager
def valid_state(where: str) -> Iterator[None]:
    """Report what is no valid state of a stream while it is read.

    Args:
        where: it was found.

    Raises:
        SourceError: reading it fails.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(
            f"is not a valid state of a stream: {error}"[:200], where=where, remedy="delete it to start afresh"
        ) from None
