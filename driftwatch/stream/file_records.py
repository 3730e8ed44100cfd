"""The rows of files as the messages of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.codecs import encode
from driftwatch.data.readers import CHUNK_ROWS, Dataset
from driftwatch.data.refused_rows import Refusals
from driftwatch.data.schema import Schema
from driftwatch.stream.log import Partition, Record

TimeOf = Callable[[NDArray[np.int64], int], int]
"""Event time of a message, milliseconds since the epoch, from its rows' indices in their file and its offset."""


def file_records(
    dataset: Dataset,
    schema: Schema,
    stream: str,
    partition: Partition,
    time_of: TimeOf,
    *,
    batch: int,
    offset: int = 0,
    start: int = 0,
    refusals: Refusals | None = None,
) -> Iterator[Record]:
    """Messages of `batch` rows each, from row `start` on; the last may have fewer.

    Args:
        dataset: the files.
        schema: of the stream's samples.
        stream: that the messages belong to.
        partition: topic and partition of the messages.
        time_of: returns their event times.
        batch: rows in a message.
        offset: of the first message.
        start: the first row.
        refusals: collects rows that cannot be read; if None, such a row is an error.

    Raises:
        DataError: the data does not fit the schema.
    """
    read = start
    at_once = batch * max(1, CHUNK_ROWS // batch)
    for chunk in dataset.chunks(schema, rows=at_once, start=start, refusals=refusals):
        for begin in range(0, len(chunk), batch):
            samples = chunk[begin : begin + batch]
            rows = np.arange(read, read + len(samples))
            read += len(samples)
            time_ms = time_of(rows if refusals is None else refusals.index_of(rows), offset)
            value, headers = encode(samples, schema, "npy")
            named = (*headers.items(), ("driftwatch-stream", stream.encode()))
            yield Record(*partition, offset, time_ms, None, value, named)
            offset += 1
