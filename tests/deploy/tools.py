"""Programs and schemas that check what is deployed: Go modules, fetched and built once into a cache.

Go verifies each module against its checksum database, and the versions are pinned here. `make test` starts with this,
before Python's packages are installed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache" / "tools"
HELM = "helm.sh/helm/v3/cmd/helm@v3.22.0"
COMPOSE = "github.com/compose-spec/compose-go/v2/cmd@v2.16.2"
PROMETHEUS_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
KEDA = "github.com/kedacore/keda/v2@v2.21.0"
BUILD_S = 1200
"""Helm takes three minutes of CPU time the first time."""


def built(package: str) -> Path:
    """The program of a Go package ``path@version``; it is built the first time, which takes minutes for a large one."""
    folder = CACHE / package.replace("/", "_")
    with _locked():
        if not folder.is_dir():
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            _go("install", "-trimpath", "-ldflags=-s", package, GOBIN=str(partial))
            partial.rename(folder)
    return next(folder.iterdir())


def module(named: str) -> Path:
    """The folder of a Go module ``path@version``, with its files as published."""
    with _locked():
        return Path(json.loads(_go("mod", "download", "-json", named))["Dir"])


def _go(*command: str, **environment: str) -> str:
    done = subprocess.run(
        ["go", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_S,
        cwd=CACHE,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, f"go {' '.join(command)}:\n{done.stderr[-3000:]}"
    return done.stdout


@contextmanager
def _locked() -> Iterator[None]:
    if shutil.which("go") is None:
        from tests.programs import required

        required("go", "golang")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__" and shutil.which("go"):
    for package in (COMPOSE, *([] if shutil.which("helm") else [HELM])):
        built(package)
    for named in (PROMETHEUS_OPERATOR, KEDA):
        module(named)
