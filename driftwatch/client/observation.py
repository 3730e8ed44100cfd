"""One observation: what a call of `observe` showed, as bytes that no longer change when the caller's objects do."""

from __future__ import annotations

import io
import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

NPY = "application/x-npy"
JSON = "application/json"
MERGED_BYTES = 64 << 10
"""Larger observations travel alone: they would gain nothing."""

Headers = tuple[tuple[str, str], ...]
Form = Literal["array", "rows", "instances", "body"]


@dataclass(frozen=True)
class Observation:
    """Samples on their way.

    Args:
        form: how `body` is to be read: values of an array in C order; objects or arrays of JSON with commas
            between them; or a message as it is.
        body: the bytes.
        content_type: of a message as it is; None where its sender told none.
        dtype: of an array, as NumPy describes it.
        shape: of one sample of an array.
        kind: what must agree for observations to share a message; None if this one shares with none.
        stream: it belongs to.
        headers: of its own, such as ``traceparent``.
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
        """The same for observations that may share a message; None if this one travels alone."""
        if self.kind is None or self.headers or len(self.body) > MERGED_BYTES:
            return None
        return self.form, self.kind, self.stream


def messages(group: Sequence[Observation], most_bytes: int) -> Iterator[bytes]:
    """The bodies of the messages that carry observations of one group: one, but for arrays that are too large for it.

    Args:
        group: at least one; more only if their `group` is the same.
        most_bytes: in a message, where its samples can be parted.
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
    import numpy as np  # is there already: a caller showed an array

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
