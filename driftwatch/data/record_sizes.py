"""Limits on the size of decoded records: a few bytes of a body can stand for a record of thousands of fields."""

from __future__ import annotations

from driftwatch.errors import MessageError

MOST_VALUES = 8 << 20
"""About half a gigabyte, as JSON of `max_message_bytes` may also take; or 80,000 rows of a hundred columns."""

RECORD = 4
"""The cost of a record, list or map in addition to its values."""


class Room:
    """A budget for the values of the body that is being read.

    Args:
        where: the format of the body, for error messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._left = 0

    def open(self, size: int) -> None:
        """Start with a body of `size` bytes."""
        self._left = most_values(size)

    def take(self, values: int) -> None:
        """Count further values against the budget.

        Raises:
            MessageError: the budget is exceeded.
        """
        self._left -= values
        if self._left < 0:
            raise MessageError(
                "holds too many records and values for its size",
                reason="too_large",
                where=self._where,
                remedy=f"send it in parts of at most {MOST_VALUES:,}",
            )


def most_values(size: int) -> int:
    """The largest number of values for a body of `size` bytes; one per two bytes if that is more than `MOST_VALUES`."""
    return max(MOST_VALUES, size // 2)
