"""Decimals of Avro and Protobuf: an integer in bytes, and the number of its decimal places."""

from __future__ import annotations

LONGEST = 64
"""Most bytes of a decimal. No column has longer ones, and reading takes time quadratic in the length."""


def decimal_number(value: bytes, scale: int) -> float:
    """Decode a decimal.

    Args:
        value: two's complement, most significant byte first.
        scale: decimal places.

    Raises:
        ArithmeticError: it is too large.

    >>> decimal_number(bytes([0x01, 0x01]), 2)
    2.57
    """
    if len(value) > LONGEST:
        raise OverflowError(f"a decimal has {len(value)} bytes")
    return int.from_bytes(value, "big", signed=True) / 10.0**scale
