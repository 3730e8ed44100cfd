"""How much a body of records may unpack to: a few of its bytes can stand for a record of thousands of fields."""

from __future__ import annotations

from driftwatch.errors import MessageError

MOST_VALUES = 8 << 20
"""About half a gigabyte, which JSON of `max_message_bytes` may take too; 80,000 rows of a hundred columns."""

RECORD = 4
"""Of values, what a record, list or map takes beside those in it."""


class Room:
    """What is left for the values of a body that is being read.

    Args:
        where: in which format it is, for messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._left = 0

    def open(self, size: int) -> None:
        """Begins with a body of so many bytes."""
        self._left = most_values(size)

    def take(self, values: int) -> None:
        """Notes values that are held from now on.

        Raises:
            MessageError: they are too many.
        """
        self._left -= values
        if self._left < 0:
            raise MessageError(
                "holds too many records and values for its size",
                reason="too_large",
                where=self._where,
                remedy=f"send it in parts; {MOST_VALUES:,} are the most",
            )


def most_values(size: int) -> int:
    """How many values a body of so many bytes may hold; one for two bytes where that is more."""
    return max(MOST_VALUES, size // 2)
