"""Decimals as Avro and Protobuf write them: a whole number in bytes, and how many of its digits are decimal places."""

from __future__ import annotations

LONGEST = 64
"""Bytes. A number that no column holds would only take time: the square of its length to read."""


def decimal_number(value: bytes, scale: int) -> float:
    """The number.

    Args:
        value: two's complement, the most significant byte first.
        scale: decimal places.

    Raises:
        ArithmeticError: it is too large.

    >>> decimal_number(bytes([0x01, 0x01]), 2)
    2.57
    """
    if len(value) > LONGEST:
        raise OverflowError(f"a decimal has {len(value)} bytes")
    return int.from_bytes(value, "big", signed=True) / 10.0**scale
