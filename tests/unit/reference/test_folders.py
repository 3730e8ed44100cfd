"""A folder appears completely or not at all, also if the disk is full."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from driftwatch.reference.folders import write_folder

FILES = {"a": b"1", "b": b"22"}


def accept(_: Path) -> None:
    pass


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_all_files_are_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_folder(tmp_path / "deep" / "out", FILES, check=accept)
    assert contents(tmp_path / "deep" / "out") == FILES
    assert names(tmp_path / "deep") == ["out"]


def test_an_empty_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_folder(tmp_path / "out", FILES, check=accept)
    assert contents(tmp_path / "out") == FILES


def test_a_folder_with_files_is_replaced_only_on_request(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", {"old": b"0"}, check=accept)
    with pytest.raises(OSError, match="not empty"):
        write_folder(tmp_path / "out", FILES, check=accept)
    assert contents(tmp_path / "out") == {"old": b"0"}
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("atomic", [True, False])
def test_a_folder_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, atomic: bool) -> None:
    if not atomic:
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    write_folder(tmp_path / "out", {"old": b"0"}, check=accept)
    write_folder(tmp_path / "out", FILES, check=accept, replace=True)
    assert contents(tmp_path / "out") == FILES
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("atomic", [True, False])
def test_a_link_is_replaced_and_its_target_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    if not atomic:
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    write_folder(tmp_path / "october", {"old": b"0"}, check=accept)
    (tmp_path / "out").symlink_to("october")
    write_folder(tmp_path / "out", FILES, check=accept, replace=True)
    assert contents(tmp_path / "out") == FILES
    assert contents(tmp_path / "october") == {"old": b"0"}
    assert names(tmp_path) == ["october", "out"]


@pytest.mark.parametrize("replace", [True, False])
def test_a_full_disk_leaves_the_previous_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool) -> None:
    if replace:
        write_folder(tmp_path / "out", {"old": b"0"}, check=accept)
    synced = []
    sync = os.fsync

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_folder(tmp_path / "out", FILES, check=accept, replace=replace)
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
