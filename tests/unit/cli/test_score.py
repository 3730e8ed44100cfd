"""``driftwatch score`` in a terminal: what fits into a line, which windows alarm, and by which rule."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest
from PIL import Image

from driftwatch.cli.app import _run
from driftwatch.reference.offline import SAMPLE_COLUMNS, WINDOW_COLUMNS
from driftwatch.reference.scoring import Scorer
from tests.people import rows
from tests.synthetic import SIDE, shuffled_rows, waves

WIDTH = 80
RULE = "p <= 5e-05 (50 / 1,000,000), one false alarm in 1,000,000 samples"


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two windows like the reference, two that differ, and some more images."""
    found = np.concatenate([waves(100, seed=5), shuffled_rows(waves(120, seed=6))])
    np.save(tmp_path / "images.npy", found.astype(np.uint8))
    return tmp_path / "images.npy"


def test_windows_and_their_alarms_fit_into_80_columns(
    bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(["score", str(bundle), str(images), "--window", "50"]) == 0
    captured = capsys.readouterr()
    head, *lines = captured.out.splitlines()
    assert head.split() == ["rows", "effect", "p", "alarm", "what", "moved"]
    assert max(map(len, (head, *lines))) <= WIDTH
    windows = [line.split() for line in lines if line[:9].strip()]
    assert [words[0] for words in windows] == ["1-50", "51-100", "101-150", "151-200"]
    assert [words[3] for words in windows] == ["no", "no", "yes", "yes"]
    assert "nats/sample in all" not in captured.out
    assert "220 samples, 4 windows of 50, 20 samples left over" in captured.err
    assert f"2 would alarm: {RULE}" in captured.err

    assert _run(["score", str(bundle), str(images), "--window", "50", "--out", str(tmp_path / "s.csv")]) == 0
    assert f"2 would alarm: {RULE}" in capsys.readouterr().err
    table = pd.read_csv(tmp_path / "s.windows.csv")
    assert tuple(table) == WINDOW_COLUMNS
    assert [f"{p:.2g}" for p in table["combined_p_value"]] == [words[2] for words in windows]
    assert [f"{effect:.2g}" for effect in table["effect_nats"]] == [words[1] for words in windows]


def test_columns_that_moved_are_named_and_wrapped(
    table_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = rows(200, seed=1, shift=1.0)
    moved["town"] = "Ulm"
    moved.to_csv(tmp_path / "moved.csv", index=False)
    assert _run(["score", str(table_bundle), str(tmp_path / "moved.csv"), "--window", "100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= WIDTH
    text = lines[0].index("what moved")
    assert "" in {line[:text].strip() for line in lines}
    assert "age rose by 1" in " ".join(line[text:] for line in lines)


def test_a_bad_row_is_skipped_and_reported(
    table_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = rows(150, seed=1).astype({"age": str})
    frame.loc[20, "age"] = "old"
    frame.to_csv(tmp_path / "bad.csv", index=False)
    assert _run(["score", str(table_bundle), str(tmp_path / "bad.csv"), "--window", "50"]) == 0
    captured = capsys.readouterr()
    assert [line.split()[0] for line in captured.out.splitlines() if line[:6].strip()] == ["rows", "1-51", "52-101"]
    assert "149 samples, 2 windows of 50, 49 samples left over" in captured.err
    assert "warning: skipped 1 rows that cannot be read\n" in captured.err
    assert "index 20, column age: holds 'old' (expected a number)" in captured.err

    out = str(tmp_path / "s.parquet")
    assert _run(["score", str(table_bundle), str(tmp_path / "bad.csv"), "--window", "50", "--out", out]) == 0
    assert "rows that cannot be read -> " in capsys.readouterr().err
    assert pd.read_parquet(out)["index"].tolist() == [i for i in range(150) if i != 20]
    windows = pd.read_parquet(tmp_path / "s.windows.parquet")
    assert windows[["start", "end"]].to_numpy().tolist() == [[0, 51], [51, 101]]
    assert pd.read_parquet(tmp_path / "s.refused.parquet").to_dict("records") == [
        {"index": 20, "where": "column age", "reason": "holds 'old' (expected a number)"}
    ]


def test_nothing_is_left_of_what_an_earlier_run_refused(table_bundle: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "rows.csv", tmp_path / "s.csv"
    rows(60, seed=1).assign(age=["old", *range(59)]).to_csv(data, index=False)
    assert _run(["score", str(table_bundle), str(data), "--window", "50", "--out", str(out)]) == 0
    left = [out, tmp_path / "s.windows.csv"]
    assert sorted(tmp_path.glob("s*")) == [out, tmp_path / "s.refused.csv", left[1]]
    rows(60, seed=1).to_csv(data, index=False)
    assert _run(["score", str(table_bundle), str(data), "--window", "50", "--out", str(out)]) == 0
    assert sorted(tmp_path.glob("s*")) == left


@pytest.mark.parametrize(("name", "out"), [("a.csv", "a.csv"), ("a.windows.csv", "a.csv"), ("a.csv", "link.csv")])
def test_the_data_is_not_replaced_by_its_scores(
    table_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, out: str
) -> None:
    data = tmp_path / name
    rows(60, seed=1).to_csv(data, index=False)
    (tmp_path / "link.csv").symlink_to(data)
    before = data.read_bytes()
    assert _run(["score", str(table_bundle), str(data), "--window", "50", "--out", str(tmp_path / out)]) == 2
    assert "is the data itself (choose another --out)" in capsys.readouterr().err
    assert data.read_bytes() == before


def test_warnings_of_pillow_are_not_shown(bundle: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    Image.new("L", (SIDE, SIDE)).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    Image.fromarray(waves(1)[0, 0].astype(np.uint8)).save(tmp_path / "b.png")
    assert _run(["score", str(bundle), str(tmp_path)]) == 0
    assert [warning for warning in recwarn if "PIL" in warning.filename] == []


def test_samples_fit_into_80_columns(bundle: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["score", str(bundle), str(images)]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert tuple(lines[0].split()) == SAMPLE_COLUMNS
    assert len(lines) == 221
    assert max(map(len, lines)) <= WIDTH
    assert "alarm" not in captured.err


def test_json_lines_have_all_columns(bundle: Path, images: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert _run(["score", str(bundle), str(images), "--window", "50", "--format", "json"]) == 0
    found = [orjson.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [tuple(row) for row in found] == [WINDOW_COLUMNS] * 4


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    """Limit the size of files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_full_disk_is_reported_with_the_file_and_no_partial_result_remains(
    bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    out = tmp_path / "full" / f"scores.{suffix}"
    with _files_of_at_most(3_000):
        assert _run(["score", str(bundle), str(images), "--window", "50", "--out", str(out)]) == 1
    assert f"{out}: cannot be written: File too large (free some space there" in capsys.readouterr().err
    assert list(out.parent.iterdir()) == []


def test_a_window_larger_than_the_data_is_refused_before_calibration(
    bundle: Path, images: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scorer, "window_null", lambda *_: pytest.fail("minutes of work for nothing"))
    assert _run(["score", str(bundle), str(images), "--window", "221"]) == 2
    assert "has 220 samples: no window of 221 (give a smaller --window)" in capsys.readouterr().err
