"""A dead-letter file that cannot be written neither stops the stream nor floods the log."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from driftwatch.errors import MessageError
from driftwatch.stream.dead_letter_file import intake_dead_letters
from driftwatch.stream.log import Record


def test_a_folder_that_is_gone_for_good_is_logged_ever_less_often(tmp_path: Path) -> None:
    file = intake_dead_letters(tmp_path / "state")
    assert file is not None
    (tmp_path / "state").write_text("in the way")
    with capture_logs() as logged:
        for offset in range(9):
            file.write(Record("http", 0, offset, 0, None, b"{"), MessageError("is cut short", reason="malformed"))
    assert [each["count"] for each in logged] == [1, 2, 4, 8]
    assert {each["error"] for each in logged} == {"File exists"}
