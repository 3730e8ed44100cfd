"""Splitting of CSV files into rows as bytes, block by block, without cutting values in quotes that hold line breaks.

A quote at the start of a value opens it, as in Arrow; elsewhere it is an ordinary character. A quote that is never
closed would swallow all rows up to the next quote, so its line, which is torn, is reported separately.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from driftwatch.errors import DataError

BLOCK_BYTES = 1 << 20
"""Bytes per read, and the longest row."""

_CLOSED = re.compile(rb'(?:[^"]++|(?<![^,\r\n])"(?:[^"\r\n]++|"")*+"|(?<=[^,\r\n])")*+')
"""Matches as far as every value that a quote opens is closed in the same line."""

_VALUE = re.compile(rb'"(?:[^"]++|"")*+(")?')
"""Matches a value from its opening quote on, over any number of lines."""

_ROW = re.compile(rb'(?:[^"\r\n]++|(?<![^,\r\n])"(?:[^"]++|"")*+"|(?<=[^,\r\n])")*+(?:\r\n|\r|\n|\Z)')
_IN_QUOTES = re.compile(rb'(?<![^,\r\n])"(?:[^"]++|"")*+"')
_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True)
class Lines:
    """Complete rows of a file.

    Args:
        text: of the rows.
        number: of the first line, from 1.
        torn: start and end of each line in which a quote opens a value and is never closed.
    """

    text: bytes
    number: int
    torn: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class Row:
    """One row that is not empty.

    Args:
        text: of the row, including its line end.
        number: of its first line, from 1.
        values: number of values; 0 if it is torn.
    """

    text: bytes
    number: int
    values: int


def whole_lines(file: BinaryIO, where: str) -> Iterator[Lines]:
    """All rows of a file, in order.

    Raises:
        DataError: a row is too long.
    """
    # Excel's mark of UTF-8. Left in, a quote behind it would not be the first character of its value.
    rest, number, at_end = file.read(len(BOM_UTF8)).removeprefix(BOM_UTF8), 1, False
    while not at_end:
        block = file.read(BLOCK_BYTES)
        at_end = not block
        text = rest + block
        end, torn = _cut(text, at_end=at_end)
        if end:
            lines = Lines(text[:end], number, torn)
            yield lines
            number += _line_ends(lines.text)
        rest = text[end:]
        if len(rest) > BLOCK_BYTES:
            what = f"has a line of more than {BLOCK_BYTES >> 20} MiB"
            raise DataError(what, where=f"{where}, line {number}", remedy="is it CSV, with one row per line?")


def rows_of(lines: Lines) -> Iterator[Row]:
    """The rows of some lines, except empty ones."""
    number, place = lines.number, 0
    for start, end in (*lines.torn, (len(lines.text), len(lines.text))):
        for found in _ROW.finditer(lines.text, place, start):
            text = found[0]
            if text.strip(b"\r\n"):
                yield Row(text, number, _IN_QUOTES.sub(b"", text).count(b",") + 1)
            number += _line_ends(text)
        if start < end:
            yield Row(lines.text[start:end], number, 0)
            number += 1
        place = end


def below_first_row(lines: Lines) -> tuple[Row, Lines]:
    """The first row of some lines, which must have one, and the lines below it."""
    row = next(rows_of(lines))
    end = lines.text.index(row.text) + len(row.text)
    torn = [(start - end, stop - end) for start, stop in lines.torn if start >= end]
    return row, Lines(lines.text[end:], row.number + _line_ends(row.text), torn)


def _cut(text: bytes, *, at_end: bool) -> tuple[int, Sequence[tuple[int, int]]]:
    """The end of the last complete row, and the torn lines before it; unless `at_end`, more text may follow."""
    torn = list[tuple[int, int]]()
    row = broken = place = 0
    # row: start of the row with the last multi-line value; broken: end of that value.
    while (place := _matched(_CLOSED, text, place).end()) < len(text):
        line = _line_start(text, place)
        row = line if line >= broken else row
        value = _matched(_VALUE, text, place)
        after = text[value.end() : value.end() + 1]
        if value[1] and after in ((b",", b"\r", b"\n", b"") if at_end else (b",", b"\r", b"\n")):
            place = broken = value.end()
            continue
        end = _line_end(text, place, at_end=at_end)
        if end is None or (value.end() == len(text) and not at_end and len(text) - row <= BLOCK_BYTES):
            return row, torn
        torn.append((row, end))
        place = row = broken = end
    if at_end:
        return len(text), torn
    end = _line_start(text, len(text) - text.endswith(b"\r"))
    return (row if end < broken else end), torn


def _matched(pattern: re.Pattern[bytes], text: bytes, place: int) -> re.Match[bytes]:
    """Match a pattern that always matches here: `_CLOSED` anywhere, `_VALUE` at a quote."""
    return cast("re.Match[bytes]", pattern.match(text, place))


def _line_ends(text: bytes) -> int:
    returns = text.count(b"\r") - text.count(b"\r\n") if b"\r" in text else 0
    return text.count(b"\n") + returns


def _line_start(text: bytes, place: int) -> int:
    return max(text.rfind(b"\n", 0, place), text.rfind(b"\r", 0, place)) + 1


def _line_end(text: bytes, place: int, *, at_end: bool) -> int | None:
    """The start of the next line; None if that depends on text that is still to come."""
    found = _LINE_END.search(text, place)
    if found is None or (found[0] == b"\r" and found.end() == len(text)):
        return len(text) if at_end else None
    return found.end()
