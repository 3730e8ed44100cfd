"""Where data and bundles are: local paths, or URLs that fsspec reads, such as ``s3://bucket/key``."""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast
from urllib.parse import urlsplit

from driftwatch.errors import DriftwatchError, UsageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(::[a-z]|:/)")
"""A scheme has two letters or more; in a chain (``simplecache::s3://``) the first counts."""

_SCHEME = re.compile(r"^.*?:/+")

READ_BYTES = 8 << 20
"""Fetched at a time; remote files are read in order."""

COPY_BYTES = 1 << 20


@dataclass(frozen=True, repr=False)
class RemotePath:
    """A file or folder behind a URL; has the needed part of `pathlib.Path`, and raises `OSError` likewise.

    Args:
        url: in fsspec's form. Credentials and options come from where fsspec takes them: the environment (``AWS_...``,
            ``FSSPEC_S3_ENDPOINT_URL``) and its configuration files.
    """

    url: str

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __str__(self) -> str:
        """The URL without possible secrets: a user's password, the query of a signed address."""
        scheme, separator, rest = self.url.partition("://")
        place, slash, path = rest.split("?")[0].partition("/")
        return f"{scheme}{separator}{place.rpartition('@')[2]}{slash}{path}"

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self.url.rstrip('/')}/{name}")

    @property
    def _pure(self) -> PurePosixPath:
        return PurePosixPath(_SCHEME.sub("", str(self)))

    @property
    def scheme(self) -> str:
        """The scheme, for example ``s3`` of ``s3://bucket/key``."""
        return urlsplit(self.url).scheme

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self._pure.name

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self._pure.stem

    @property
    def suffix(self) -> str:
        """The suffix, such as ``.parquet``."""
        return self._pure.suffix

    def with_name(self, name: str) -> RemotePath:
        """A path in the same folder with another name."""
        return RemotePath(f"{self.url.split('?')[0].rstrip('/').rpartition('/')[0]}/{name}")

    def exists(self) -> bool:
        """Whether there is a file or folder."""
        with self._file_system() as (files, path):
            return bool(files.exists(path))

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        with self._file_system() as (files, path):
            return bool(files.exists(path)) and files.info(path)["type"] == "directory"

    def open(self, mode: Literal["rb"] = "rb") -> BinaryIO:
        """Open the file for reading, with seeking."""
        with self._file_system() as (files, path):
            return cast("BinaryIO", _RemoteFile(self, files.open(path, mode, block_size=READ_BYTES)))

    def below(self) -> list[RemotePath]:
        """All files below this folder, in order of their paths."""
        with self._file_system() as (files, path):
            files.invalidate_cache()
            return self._named(files.find(path), path)

    def matching(self) -> list[RemotePath]:
        """The files that match this path, in which ``*`` stands for any name, in order of their paths."""
        fixed = RemotePath(self.url.partition("*")[0].rpartition("/")[0])
        with self._file_system() as (files, path), fixed._file_system() as (_, start):
            files.invalidate_cache()
            return fixed._named((found for found in files.glob(_no_brackets(path)) if files.isfile(found)), start)

    def _named(self, paths: Any, start: str) -> list[RemotePath]:
        """The locations of file-system paths that begin with this one's own, `start`."""
        return [self / path[len(start) :].lstrip("/") for path in sorted(paths)]

    def download(self, to: Path) -> None:
        """Copy the file to a local one."""
        with self.open() as source, to.open("wb") as target:
            shutil.copyfileobj(source, target, COPY_BYTES)

    def write_bytes(self, content: bytes) -> None:
        """Write the file; it appears once complete."""
        with self._file_system() as (files, path):
            files.pipe_file(path, content)

    def upload(self, source: Path) -> None:
        """Copy a local file here; it appears once complete."""
        with self._file_system() as (files, path):
            files.put_file(str(source), path)

    def remove(self) -> None:
        """Remove the file, if it exists."""
        with self._file_system() as (files, path):
            if files.exists(path):
                files.rm_file(path)

    def require_bucket(self) -> None:
        """Check that the bucket exists and can be reached, before long work whose result will go into it.

        Raises:
            OSError: it does not, or cannot.
        """
        with self._file_system() as (files, path):
            bucket = path.partition("/")[0]
            if not bucket or path.startswith(f"{self.scheme}:"):
                return
            try:
                files.info(bucket)
            except FileNotFoundError:
                raise FileNotFoundError(f"there is no bucket {bucket!r}") from None

    @contextmanager
    def _file_system(self) -> Iterator[tuple[AbstractFileSystem, str]]:
        """The file system and the path in it; errors of any library become `OSError`."""
        files, path = _resolve(self)
        with _as_os_errors():
            yield files, path


Location = Path | RemotePath
"""Where data or a bundle is."""


def locate(place: str | Path | RemotePath) -> Location:
    """The location for a text: a URL, else a path.

    >>> locate("s3://bucket/a.parquet").name, locate("file:///data/a.csv"), locate("data/a.csv")
    ('a.parquet', PosixPath('/data/a.csv'), PosixPath('data/a.csv'))
    """
    if isinstance(place, str) and _URL.match(place):
        return Path(place[len("file://") :]) if place.startswith("file://") else RemotePath(place)
    return Path(place) if isinstance(place, str) else place


def files_below(folder: Location) -> Sequence[Location]:
    """All files below a folder, in order of their paths.

    Raises:
        OSError: it cannot be read.
    """
    if isinstance(folder, RemotePath):
        return folder.below()
    return sorted(path for path in folder.rglob("*") if path.is_file())


def path_below(folder: Location, file: Location) -> str:
    """The path of a file relative to a folder; empty if they are the same.

    >>> path_below(Path("."), Path("a/b.csv")), path_below(locate("s3://lake/a"), locate("s3://lake/a/b.csv"))
    ('a/b.csv', 'b.csv')
    """
    if file == folder:
        return ""
    if isinstance(folder, Path) and isinstance(file, Path):
        return file.relative_to(folder).as_posix()
    return str(file)[len(str(folder).rstrip("/")) :].lstrip("/")


def matching_files(pattern: Location) -> Sequence[Location]:
    """The files that match a path in which ``*`` stands for any name, in order of their paths.

    Raises:
        OSError: the folder cannot be read.
    """
    if isinstance(pattern, RemotePath):
        return pattern.matching()
    root = Path(pattern.anchor)
    return sorted(path for path in root.glob(_no_brackets(str(pattern.relative_to(root)))) if path.is_file())


def _no_brackets(pattern: str) -> str:
    """The pattern for glob in which brackets, as in the name of a folder, stand for themselves."""
    return pattern.replace("[", "[[]")


@contextmanager
def local_file(place: Location) -> Iterator[Path]:
    """A local file for a location while the context lasts: the file itself, or a copy.

    Raises:
        OSError: it cannot be read.
    """
    if isinstance(place, Path):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="driftwatch-") as folder:
        copy = Path(folder) / place.name
        place.download(copy)
        yield copy


def try_folder(folder: Path) -> None:
    """Check that a folder can be written to, or created, by creating a folder in it or in its nearest existing parent.

    Raises:
        OSError: it cannot, whatever the permissions say; its `filename` is that nearest folder.
    """
    nearest = next(each for each in (folder, *folder.parents) if os.path.exists(each))  # noqa: PTH110 - never raises
    try:
        Path(tempfile.mkdtemp(prefix=".driftwatch-", dir=nearest)).rmdir()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(nearest)) from None


class _RemoteFile(io.BufferedIOBase):
    """A remote file whose errors are `OSError`, as file readers expect."""

    def __init__(self, place: RemotePath, file: Any) -> None:
        self.name = str(place)
        self._file = file

    def read(self, size: int | None = -1, /) -> bytes:
        with _as_os_errors():
            return bytes(self._file.read(-1 if size is None else size))

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _resolve(place: RemotePath) -> tuple[AbstractFileSystem, str]:
    try:
        import fsspec
    except ImportError:
        raise UsageError("URLs need fsspec", where=str(place), remedy="pip install 'driftwatch[remote]'") from None
    try:
        files, path = fsspec.url_to_fs(place.url)
    except ImportError as error:
        remedy = "pip install 'driftwatch[remote]'" if place.scheme in ("s3", "s3a", "http", "https") else ""
        raise UsageError(str(error), where=str(place), remedy=remedy) from None
    except ValueError as error:
        raise UsageError(f"is not a URL that can be read: {error}", where=str(place)) from None
    return files, path


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Turn exceptions of the libraries beneath fsspec, each with its own kinds, into `OSError`."""
    try:
        yield
    except (OSError, DriftwatchError):
        raise
    except Exception as error:
        raise OSError(str(error) or type(error).__name__) from error
