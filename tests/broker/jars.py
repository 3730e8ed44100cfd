"""The broker's jars, resolved once by Maven into a cache; `make test` starts with this, before Python's packages."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
CACHE = Path(os.environ.get("DRIFTWATCH_TEST_CACHE", Path(__file__).parents[2] / ".cache" / "kafka"))
OLDEST_JAVA = 17
RESOLVE_S = 600


def missing_tools() -> str:
    """What Apache Kafka needs and this machine lacks, in words; empty if Kafka can run."""
    java = shutil.which("java")
    if java is None:
        return "no java"
    version = _version(java)
    found = re.search(r'version "(\d+)', version)
    if found is None or int(found[1]) < OLDEST_JAVA:
        return f"java is older than {OLDEST_JAVA}: {version.splitlines()[:1]}"
    if _folder().is_dir() or shutil.which("mvn"):
        return ""
    return "no mvn (Maven), and no jars in the cache"


def broker_jars() -> Path:
    """The folder with the jars, which Maven resolves the first time; that takes seconds."""
    folder = _folder()
    if folder.is_dir():
        return folder
    with locked_cache():
        if folder.is_dir():
            return folder
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=RESOLVE_S)
        if done.returncode != 0:
            raise RuntimeError(
                f"Maven could not resolve the broker's jars:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
            )
        partial.rename(folder)
    return folder


def class_archive() -> Path:
    """The path of the class archive for these jars and this Java (see `tests.broker.archive`)."""
    return _folder().with_suffix(f".{hashlib.sha256(_version('java').encode()).hexdigest()[:8]}.jsa")


@contextmanager
def locked_cache() -> Iterator[None]:
    """Lock the cache, so that only one process at a time adds to it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _folder() -> Path:
    # The resolved path: Java accepts an archive only with jars at the same paths.
    return CACHE.resolve() / hashlib.sha256(POM.read_bytes()).hexdigest()[:16]


@cache
def _version(java: str) -> str:
    return subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=60).stderr


if __name__ == "__main__" and not missing_tools():
    broker_jars()
