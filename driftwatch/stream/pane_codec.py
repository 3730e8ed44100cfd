"""Panes as messages: a line of JSON, then the packed numbers of the summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from driftwatch.errors import MessageError
from driftwatch.stats.summary import on_grid
from driftwatch.stats.sums import Sums, keep
from driftwatch.stream.examples import Candidate
from driftwatch.stream.formats import require_format
from driftwatch.stream.log import event_time
from driftwatch.stream.packing import pack, pack_each, unpack_each
from driftwatch.stream.panes import Pane
from driftwatch.stream.sampling import ALL, Share
from driftwatch.tracing import valid_context

_MALFORMED = (ValueError, KeyError, TypeError, IndexError, AttributeError)

FORMAT = 3
"""Format 3 packs the numbers; formats 1 (whole slices) and 2 (pieces of slices) had them in double precision."""


def encode_pane(pane: Pane) -> bytes:
    """The message for a pane."""
    return _head(pane) + pack(pane.sums)


def encode_panes(panes: Sequence[Pane]) -> list[bytes]:
    """`encode_pane` of each; larger numbers of panes cost less per pane."""
    packed = pack_each([pane.sums for pane in panes])
    return [_head(pane) + numbers for pane, numbers in zip(panes, packed, strict=True)]


def _head(pane: Pane) -> bytes:
    """The line of JSON."""
    head = {
        "format": FORMAT,
        "stream": pane.stream,
        "reference": pane.reference,
        "n": pane.n,
        "start_ms": pane.start_ms,
        "end_ms": pane.end_ms,
        "topic": pane.topic,
        "partition": pane.partition,
        "first": pane.first,
        "last": pane.last,
        "values": len(pane.sums),
    }
    # Optional fields, left out where they are empty.
    if pane.grades:
        head["grades"] = list(pane.grades)
    if pane.trace:
        head["trace"] = pane.trace
    if pane.share != ALL:
        head["share"] = [pane.share.part, pane.share.since]
    if pane.candidates:
        head["candidates"] = [[each.score, *each.mark, each.sample] for each in pane.candidates]
    if pane.flaws:
        head["flaws"] = pane.flaws
    if pane.unfinished:
        head["seen_ms"] = pane.seen_ms
    return orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE)


def decode_pane(value: bytes, logged_ms: int = 0, number: int = 0) -> Pane:
    """The inverse of `encode_pane`.

    Args:
        value: of the message.
        logged_ms: when the pane was written to its log, by the log.
        number: its position in that log.

    Raises:
        MessageError: the bytes are not a pane.
        NewerFormatError: a newer driftwatch wrote them.
    """
    (found,) = decode_panes([(value, logged_ms, number)])
    if isinstance(found, MessageError):
        raise found
    return found


def decode_panes(messages: Iterable[tuple[bytes, int, int]]) -> list[Pane | MessageError]:
    """`decode_pane` with each of these arguments; larger numbers of panes cost less per pane.

    Returns:
        the panes, and in place of messages that are no panes, the reasons.

    Raises:
        NewerFormatError: a newer driftwatch wrote one of them.
    """
    opened = [_open(*message) for message in messages]
    packed = [each for each in opened if isinstance(each, _Opened) and each.head["format"] == FORMAT]
    unpacked = iter(unpack_each([each.numbers for each in packed], [each.values for each in packed]))
    return [
        each
        if isinstance(each, MessageError)
        else _close(each, next(unpacked) if each.head["format"] == FORMAT else _doubles(each))
        for each in opened
    ]


class _Opened(NamedTuple):
    """A message whose line of JSON was parsed; `values` is how many numbers should follow it."""

    head: dict[str, Any]
    numbers: bytes
    values: int
    logged_ms: int
    number: int


def _open(value: bytes, logged_ms: int, number: int) -> _Opened | MessageError:
    line, newline, numbers = value.partition(b"\n")
    try:
        if not newline:
            raise ValueError("no line ends")
        head = orjson.loads(line)
        if not (isinstance(head["format"], int) and isinstance(head["stream"], str)):
            raise TypeError("no pane of any version")
        require_format(head["format"], FORMAT, what="a pane", where="panes log")
        return _Opened(head, numbers, int(head["values"]), logged_ms, number)
    except _MALFORMED as error:
        return _not_a_pane(error)


def _doubles(opened: _Opened) -> Sums | MessageError:
    """The sums of older formats."""
    try:
        sums = keep(on_grid(np.frombuffer(opened.numbers, dtype="<f8").astype(np.float64)))
    except ValueError as error:
        return _not_a_pane(error)
    if len(sums) != opened.values:
        return MessageError(f"holds {len(sums)} numbers instead of {opened.values}", reason="malformed")
    return sums


def _close(opened: _Opened, sums: Sums | MessageError) -> Pane | MessageError:
    """The pane with these sums."""
    if isinstance(sums, MessageError):
        return sums
    head = opened.head
    try:
        part, since = head.get("share", (ALL.part, ALL.since))
        reference, topic = (_text(head[name]) for name in ("reference", "topic"))
        n, grades = int(head["n"]), bytes(list(head.get("grades", ())))
        if n < 1 or len(grades) not in (0, n):
            raise ValueError(f"of {n} samples, with {len(grades)} grades")
        return Pane(
            stream=head["stream"],  # a text, or it was not opened
            reference=reference,
            n=n,
            sums=sums,
            # Older versions did not bound event times.
            start_ms=event_time(int(head["start_ms"])),
            end_ms=event_time(int(head["end_ms"])),
            topic=topic,
            partition=int(head["partition"]),
            first=(int(head["first"][0]), int(head["first"][1])),
            last=(int(head["last"][0]), int(head["last"][1])),
            grades=grades,
            trace=valid_context(head.get("trace")),
            share=Share(float(part), int(since)),
            unfinished="seen_ms" in head,
            logged_ms=opened.logged_ms,
            number=opened.number,
            seen_ms=head.get("seen_ms"),
            flaws={str(name): (int(missing), int(unseen)) for name, (missing, unseen) in head.get("flaws", {}).items()},
            candidates=tuple(
                Candidate(float(score), (int(offset), int(row)), sample)
                for score, offset, row, sample in head.get("candidates", ())
            ),
        )
    except _MALFORMED as error:
        return _not_a_pane(error)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} in place of a text")
    return value


def _not_a_pane(error: Exception) -> MessageError:
    return MessageError(f"is not a pane: {error}"[:200], reason="malformed")
