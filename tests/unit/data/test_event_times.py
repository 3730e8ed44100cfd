"""Event times of rows: of any type that a table may hold, in order or not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftwatch.data.event_times import EventTimes
from driftwatch.errors import DataError

FIRST = pd.Timestamp("2026-11-27T10:00:00.250Z")
FIRST_MS = 1_795_773_600_250


def written(folder: Path, suffix: str, values: Any) -> Path:
    path = folder / f"table{suffix}"
    frame = pd.DataFrame({"age": 1.0, "seen": values})
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("values", "second_ms"),
    [
        (pd.date_range(FIRST, periods=3, freq="h"), FIRST_MS + 3_600_000),
        (pd.date_range(FIRST, periods=3, freq="h").tz_convert("Europe/Berlin"), FIRST_MS + 3_600_000),
        (pd.date_range(FIRST, periods=3, freq="h").tz_localize(None), FIRST_MS + 3_600_000),
        (["2026-11-27T10:00:00.250Z", "2026-11-27T13:00:00+02:00", "2026-11-27T12:00:00Z"], FIRST_MS + 3_599_750),
        (["2026-11-27 10:00:00.250123456", "2026-11-27 11:00:00", "2026-11-28 00:00:00"], FIRST_MS + 3_599_750),
        (np.array([FIRST_MS, FIRST_MS + 1, FIRST_MS + 2]), FIRST_MS + 1),
        (np.array([FIRST_MS / 1000, FIRST_MS / 1000 + 2, FIRST_MS / 1000 + 3]), FIRST_MS + 2_000),
        (np.array([FIRST_MS, FIRST_MS + 1, FIRST_MS + 2]) * 1_000, FIRST_MS + 1),
        (np.array([FIRST_MS, FIRST_MS + 1, FIRST_MS + 2]) * 1_000_000, FIRST_MS + 1),
        ([Decimal(FIRST_MS) / 1000, Decimal(FIRST_MS + 1) / 1000, Decimal(FIRST_MS + 2) / 1000], FIRST_MS + 1),
        (
            pd.Categorical(["2026-11-27T10:00:00.250Z", "2026-11-27T11:00:00Z", "2026-11-28T00:00:00Z"]),
            FIRST_MS + 3_599_750,
        ),
    ],
    ids=[
        "UTC",
        "Berlin",
        "no zone",
        "texts with zones",
        "texts",
        "milliseconds",
        "seconds",
        "microseconds",
        "nanoseconds",
        "decimals",
        "categories",
    ],
)
def test_times_of_any_type_are_read(tmp_path: Path, suffix: str, values: Any, second_ms: int) -> None:
    times = EventTimes(written(tmp_path, suffix, values), "seen")
    assert times.of(np.arange(2)).tolist() == [FIRST_MS, second_ms]
    assert times.late == 0


def test_dates_are_read_as_midnight(tmp_path: Path) -> None:
    times = EventTimes(written(tmp_path, ".csv", ["2026-11-27", "2026-11-28"]), "seen")
    assert np.diff(times.of(np.arange(2))).tolist() == [86_400_000]


def test_rows_can_be_requested_in_pieces_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftwatch.data.event_times.READ_ROWS", 7)
    times = EventTimes(written(tmp_path, ".parquet", np.arange(100) * 60), "seen")
    found = [times.of(rows).tolist() for rows in (np.arange(3), np.arange(3, 20), np.array([25, 31]), np.array([99]))]
    assert [each // 60_000 for some in found for each in some] == [*range(20), 25, 31, 99]


def test_late_rows_are_counted(tmp_path: Path) -> None:
    times = EventTimes(written(tmp_path, ".csv", [100, 300, 200, 250, 300, 50]), "seen")
    times.of(np.array([5]))
    assert (times.late, times.first_late, times.latest_ms) == (3, 2, 250_000)


def test_refused_lines_keep_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("age,seen\n1,100\n1,2,3\n1,300\n1,400\n")
    assert EventTimes(tmp_path / "table.csv", "seen").of(np.array([0, 2, 3])).tolist() == [100_000, 300_000, 400_000]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, None, 3.0], "column seen: row 1 has no time"),
        (["2026-11-27", "soon", "later"], "column seen: contains a value that is not a time"),
        ([True, False, True], "column seen: contains a value that is not a time"),
        (pa.array([1.0, np.nan, 3.0]), "column seen: row 1 has no time"),
        ([1.0, 2.0, np.inf], "column seen: row 2 holds inf, which is no time of the years 1 to 9999"),
        ([1.0, 2.0, 1e300], "column seen: row 2 holds 1e\\+300, which is no time of the years 1 to 9999"),
    ],
)
def test_a_value_that_is_not_a_time_is_reported(tmp_path: Path, values: Any, message: str) -> None:
    path = tmp_path / "table.parquet"
    # Not by pandas, which would write NaN as null.
    pq.write_table(pa.table({"seen": values}), path)
    times = EventTimes(path, "seen")
    with pytest.raises(DataError, match=message):
        times.of(np.arange(3))


def test_a_missing_time_column_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is it 'seen'"):
        EventTimes(written(tmp_path, ".csv", [1]), "sen")
    np.save(tmp_path / "array.npy", np.zeros((3, 2)))
    with pytest.raises(DataError, match="is not a table, so it has no times"):
        EventTimes(tmp_path / "array.npy", "seen")
