"""Lengths of time as people write them: a number and a unit."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
EXAMPLES = "write it like '30s', '5m', '1h' or '1d'"
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")


def duration_ms(text: str) -> int:
    """Convert a length of time to milliseconds.

    >>> duration_ms("30s"), duration_ms("5m")
    (30000, 300000)

    Raises:
        ValueError: the text is not a length of time.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a length of time; {EXAMPLES}")
    return int(match[1]) * _UNITS[match[2]]


def _check(text: str) -> str:
    duration_ms(text)
    return text


def _with_unit(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"{value} is not a length of time; {EXAMPLES}")  # noqa: TRY004 - as below
    if isinstance(value, int | float):
        raise ValueError(f"{value} has no unit; {EXAMPLES}")  # noqa: TRY004 - pydantic reports ValueErrors
    return value


Duration = Annotated[
    str,
    BeforeValidator(_with_unit),
    AfterValidator(_check),
    Field(json_schema_extra={"pattern": f"^{_DURATION.pattern}$"}),
]
"""A length of time, such as ``5m``."""
