"""Paths and URLs: distinguished, printed, read and written."""

from __future__ import annotations

import builtins
import uuid
from pathlib import Path
from typing import Any

import pytest

from driftwatch.errors import UsageError
from driftwatch.locations import RemotePath, files_below, local_file, locate, matching_files


@pytest.fixture
def memory() -> str:
    """A folder in memory that belongs to one test."""
    return f"memory://{uuid.uuid4().hex}"


def test_a_url_is_distinguished_from_a_path() -> None:
    for url in ("s3://b/k", "memory://a", "https://h/a.csv", "simplecache::s3://b/k", "runs:/1/a"):
        assert isinstance(locate(url), RemotePath), url
    for path in ("a.csv", "/a:b/c", "C:/data", "a/b://c.csv", "~/x", "x:y"):
        assert locate(path) == Path(path)
    assert locate("file:///a/b.csv") == Path("/a/b.csv")
    assert locate(Path("a")) == Path("a")


def test_a_url_is_split_into_parts_and_printed_without_secrets() -> None:
    place = RemotePath("https://ann:secret@host/data/a.b.parquet?X-Amz-Signature=secret")
    assert (place.name, place.stem, place.suffix, place.scheme) == ("a.b.parquet", "a.b", ".parquet", "https")
    assert str(place) == "https://host/data/a.b.parquet"
    assert "secret" not in f"{place} {place!r}"
    assert str(RemotePath("s3://b/k/") / "x") == str(RemotePath("s3://b/k/y").with_name("x")) == "s3://b/k/x"
    assert RemotePath("s3://b/k/").name == "k"
    assert str(RemotePath("runs:/1/a")) == "runs:/1/a"


@pytest.mark.parametrize("storage", ["memory", "bucket"])
def test_remote_files_are_written_found_and_read(storage: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    root = RemotePath(request.getfixturevalue(storage))
    assert not root.exists()
    for name in ("b/2.csv", "a/1.csv", "a/_marks", ".hidden/3.csv", "a/4.txt"):
        (root / name).write_bytes(name.encode())
    (tmp_path / "5").write_bytes(b"five")
    (root / "five").upload(tmp_path / "5")
    assert root.exists()
    assert root.is_dir()
    assert not (root / "five").is_dir()
    assert files_below(root) == [
        root / name for name in (".hidden/3.csv", "a/1.csv", "a/4.txt", "a/_marks", "b/2.csv", "five")
    ]
    assert matching_files(root / "*/*.csv") == [root / ".hidden/3.csv", root / "a/1.csv", root / "b/2.csv"]
    with (root / "b/2.csv").open() as file:
        file.seek(2)
        assert (file.read(3), file.tell(), file.read()) == (b"2.c", 5, b"sv")
    with local_file(root / "five") as copy:
        assert (copy.name, copy.read_bytes()) == ("five", b"five")
    assert not copy.exists()
    (root / "five").remove()
    (root / "five").remove()
    assert not (root / "five").exists()


def test_brackets_in_names_stand_for_themselves(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "days [1]").mkdir()
    (tmp_path / "days [1]/a.csv").write_bytes(b"")
    remote = locate(f"{bucket}/brackets") / "days [1]"
    (remote / "a.csv").upload(tmp_path / "days [1]/a.csv")
    for folder in (tmp_path / "days [1]", remote):
        assert matching_files(folder / "*.csv") == [folder / "a.csv"]


def test_local_files_are_found_in_the_same_way(tmp_path: Path) -> None:
    for name in ("b/2.csv", "a/1.csv", "a/_marks", ".hidden/3.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert files_below(tmp_path) == [tmp_path / name for name in (".hidden/3.csv", "a/1.csv", "a/_marks", "b/2.csv")]
    assert matching_files(tmp_path / "*/*.csv") == [tmp_path / name for name in (".hidden/3.csv", "a/1.csv", "b/2.csv")]


def test_a_missing_file_is_an_os_error(bucket: str) -> None:
    for url in (f"{bucket}/none", "s3://no-such-bucket/none"):
        assert not RemotePath(url).exists()
        with pytest.raises(FileNotFoundError):
            RemotePath(url).open()
    RemotePath(bucket).require_bucket()
    with pytest.raises(FileNotFoundError):
        RemotePath("s3://no-such-bucket/none").require_bucket()


def test_missing_credentials_are_an_os_error(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(OSError, match="Unable to locate credentials"):
        RemotePath(bucket).exists()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"gs://b/k: Please install gcsfs"):
        RemotePath("gs://b/k").exists()
    with pytest.raises(UsageError, match=r"wrong://b/k: is not a URL that can be read"):
        RemotePath("wrong://b/k").exists()
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "fsspec":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"s3://b/k: URLs need fsspec \(pip install 'driftwatch\[remote\]'\)"):
        RemotePath("s3://b/k").exists()
