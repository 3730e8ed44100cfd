"""One observation: the batch of a call of `observe`, as bytes that no longer change with the caller's objects."""

from __future__ import annotations

import io
import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

NPY = "application/x-npy"
JSON = "application/json"
MERGED_BYTES = 64 << 10
"""Larger observations are sent alone: sharing would gain them nothing."""

Headers = tuple[tuple[str, str], ...]
Form = Literal["array", "rows", "instances", "body"]


@dataclass(frozen=True)
class Observation:
    """Samples to be sent.

    Args:
        form: how to read `body`: values of an array in C order; JSON objects or arrays separated by commas; or a
            complete message.
        body: the bytes.
        content_type: of a complete message; None if its sender gave none.
        dtype: of an array, as NumPy describes it.
        shape: of one sample of an array.
        kind: must be equal for observations to share a message; None if this one shares with none.
        stream: that it belongs to.
        headers: its own, such as ``traceparent``.
    """

    form: Form
    body: bytes
    content_type: str | None = JSON
    dtype: str = ""
    shape: tuple[int, ...] = ()
    kind: Hashable = None
    stream: str | None = None
    headers: Headers = ()

    @property
    def group(self) -> Hashable:
        """Equal for observations that may share a message; None if this one is sent alone."""
        if self.kind is None or self.headers or len(self.body) > MERGED_BYTES:
            return None
        return self.form, self.kind, self.stream


def messages(group: Sequence[Observation], most_bytes: int) -> Iterator[bytes]:
    """The bodies of the messages for observations of one group: one, except for arrays that are too large for it.

    Args:
        group: at least one observation; more only if their `group` is equal.
        most_bytes: limit on a message, where its samples can be divided.
    """
    first = group[0]
    if first.form == "array":
        yield from _arrays(group, most_bytes)
    elif first.form == "rows":
        yield b"[" + b",".join(each.body for each in group) + b"]"
    elif first.form == "instances":
        yield b'{"instances":[' + b",".join(each.body for each in group) + b"]}"
    else:
        yield first.body


def _arrays(group: Sequence[Observation], most_bytes: int) -> Iterator[bytes]:
    import numpy as np  # already imported: the caller observed an array

    first = group[0]
    sample_bytes = math.prod(first.shape) * np.dtype(first.dtype).itemsize
    values = memoryview(b"".join(each.body for each in group) if len(group) > 1 else first.body)
    samples = len(values) // sample_bytes
    at_once = max(1, most_bytes // sample_bytes)
    for start in range(0, samples, at_once):
        count = min(at_once, samples - start)
        head = io.BytesIO()
        described = {"descr": first.dtype, "fortran_order": False, "shape": (count, *first.shape)}
        np.lib.format.write_array_header_1_0(head, described)
        yield head.getvalue() + values[start * sample_bytes : (start + count) * sample_bytes]
