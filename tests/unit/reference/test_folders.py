"""A folder appears whole or not at all, also on a full disk."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from driftwatch.reference.folders import write_folder

FILES = {"a": b"1", "b": b"22"}


def fine(_: Path) -> None:
    pass


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_writes_all_files_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_folder(tmp_path / "deep" / "out", FILES, check=fine)
    assert contents(tmp_path / "deep" / "out") == FILES
    assert names(tmp_path / "deep") == ["out"]


def test_takes_the_place_of_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_folder(tmp_path / "out", FILES, check=fine)
    assert contents(tmp_path / "out") == FILES


def test_never_touches_a_folder_with_files_unless_told_to(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", {"old": b"0"}, check=fine)
    with pytest.raises(OSError, match="not empty"):
        write_folder(tmp_path / "out", FILES, check=fine)
    assert contents(tmp_path / "out") == {"old": b"0"}
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("at_once", [True, False])
def test_replaces_a_folder_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    if not at_once:
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    write_folder(tmp_path / "out", {"old": b"0"}, check=fine)
    write_folder(tmp_path / "out", FILES, check=fine, replace=True)
    assert contents(tmp_path / "out") == FILES
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("at_once", [True, False])
def test_replaces_a_link_and_leaves_what_it_led_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    if not at_once:
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    write_folder(tmp_path / "october", {"old": b"0"}, check=fine)
    (tmp_path / "out").symlink_to("october")
    write_folder(tmp_path / "out", FILES, check=fine, replace=True)
    assert contents(tmp_path / "out") == FILES
    assert contents(tmp_path / "october") == {"old": b"0"}
    assert names(tmp_path) == ["october", "out"]


@pytest.mark.parametrize("replace", [True, False])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool) -> None:
    if replace:
        write_folder(tmp_path / "out", {"old": b"0"}, check=fine)
    synced = []
    sync = os.fsync

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_folder(tmp_path / "out", FILES, check=fine, replace=replace)
    assert names(tmp_path) == (["out"] if replace else [])
    if replace:
        assert contents(tmp_path / "out") == {"old": b"0"}


def test_a_folder_that_fails_its_check_never_appears(tmp_path: Path) -> None:
    def refuse(partial: Path) -> None:
        assert contents(partial) == FILES
        raise ValueError("unfit")

    with pytest.raises(ValueError, match="unfit"):
        write_folder(tmp_path / "out", FILES, check=refuse)
    assert names(tmp_path) == []
