"""The unpacked size that an Arrow stream declares."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest

from driftwatch.data.array_bodies import read_arrow
from driftwatch.data.arrow_sizes import unpacked_bytes
from driftwatch.data.schema import Column, TableSchema

ROWS = 5_000
TABLE = pa.table(
    {
        "age": np.random.default_rng(0).normal(size=ROWS),
        "town": pa.array(["Bonn", "Ulm"] * (ROWS // 2)).dictionary_encode(),
        "note": ["text"] * ROWS,
    }
)


def stream(compression: str | None, table: pa.Table = TABLE) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=1_000)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_buffers_declare_their_unpacked_size(compression: str) -> None:
    # Each of the five batches has one offset more than it has texts.
    assert TABLE.nbytes <= unpacked_bytes(stream(compression)) <= TABLE.nbytes + 1_000


def test_uncompressed_streams_declare_nothing() -> None:
    assert unpacked_bytes(stream(None)) == 0


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_compressed_stream_is_read(compression: str) -> None:
    columns = (Column(name="age", kind="numeric"), Column(name="town", kind="category", categories=("Bonn", "Ulm")))
    assert read_arrow(stream(compression), TableSchema(columns=columns)).equals(TABLE)


def test_damaged_streams_raise_only_expected_errors() -> None:
    sound, rng = stream("zstd", TABLE.slice(0, 1_000)), np.random.default_rng(1)
    for _ in range(1_000):
        damaged = bytearray(sound)
        for at in rng.integers(0, len(damaged), 3):
            damaged[at] = rng.integers(256)
        with suppress(pa.ArrowException, ValueError, OSError):
            unpacked_bytes(bytes(damaged))
