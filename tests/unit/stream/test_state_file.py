"""State files on a full disk: existing content stays complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftwatch.stream.state_file import append_whole, write_whole
from tests.full_disk import full_disk


def test_a_file_that_does_not_fit_leaves_the_old_one_and_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_whole(path, [b"o", b"ld"])
    with full_disk(100), pytest.raises(OSError, match="File too large"):
        write_whole(path, [b"new"] * 100)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_line_that_does_not_fit_is_not_appended(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    assert append_whole(path, b"a" * 59 + b"\n") == 60
    with full_disk(100), pytest.raises(OSError, match="No space left"):
        append_whole(path, b"b" * 59 + b"\n")
    assert append_whole(path, b"c\n") == 62
    assert path.read_bytes() == b"a" * 59 + b"\nc\n"


def test_state_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    write_whole(tmp_path / "state.json", [b"state"])
    append_whole(tmp_path / "lines", b"a line\n")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
