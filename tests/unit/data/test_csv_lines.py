"""Lines of CSV are split between rows, and in the same way as Arrow splits them, wherever blocks of the file end."""

from __future__ import annotations

import io

import pyarrow.csv as pa_csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.data import csv_lines
from driftwatch.data.csv_lines import Lines, rows_of, whole_lines

PLAIN = st.text('ab "', max_size=3).filter(lambda text: not text.startswith('"'))
QUOTED = st.text('a,"\n\r', max_size=6).map(lambda text: '"' + text.replace('"', '""') + '"')
CELLS = st.one_of(PLAIN, QUOTED)


def cut(text: bytes, size: int) -> list[Lines]:
    """All lines, read in blocks of a size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_lines, "BLOCK_BYTES", size)
        # A line whose end is in the next block is not too long, as it would be with larger blocks.
        return list(whole_lines(io.BytesIO(text), "a.csv"))


@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(60, 200),
    st.booleans(),
)
def test_lines_hold_whole_rows_as_arrow_parses_them(rows: list[list[str]], end: str, size: int, closed: bool) -> None:
    text = "".join(",".join(row) + end for row in rows).removesuffix("" if closed else end).encode()
    lines = cut(text, size)
    assert b"".join(each.text for each in lines) == text
    assert not any(each.torn for each in lines)
    found = [row for each in lines for row in rows_of(each)]
    assert [row.values for row in found] == [len(row) for row in rows]
    for row, cells in zip(found, rows, strict=True):
        one = pa_csv.read_csv(io.BytesIO(row.text + b"\n"), pa_csv.ReadOptions(autogenerate_column_names=True))
        assert (one.num_rows, one.num_columns) == (1, len(cells))


@pytest.mark.parametrize("size", [16, 17, 18, 19, 20, 21, 22, 23, 100])
def test_an_unclosed_quote_spoils_only_its_line(size: int) -> None:
    text = b'a,b\r\n1,"x\r\n\r\n2,"y"\r\n3,"two\r\nlines"\r\n4,5" tube\r\n5,"z'
    rows = [row for each in cut(text, size) for row in rows_of(each)]
    assert [(row.number, row.text, row.values) for row in rows] == [
        (1, b"a,b\r\n", 2),
        (2, b'1,"x\r\n', 0),
        (4, b'2,"y"\r\n', 2),
        (5, b'3,"two\r\nlines"\r\n', 2),
        (7, b'4,5" tube\r\n', 2),
        (8, b'5,"z', 0),
    ]
