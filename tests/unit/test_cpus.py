"""The number of CPUs that a process may use, in containers and without, and the threads that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from driftwatch.cpus import VARIABLE, available_cpus, limit_threads

V2, V1 = "0::/", "5:cpu,cpuacct:/docker/12ab"
LIMITED = {"cpu.max": "150000 100000\n"}


@pytest.fixture(autouse=True)
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.delenv(VARIABLE, raising=False)


def groups(folder: Path, own: str, files: Mapping[str, str]) -> tuple[Path, Path]:
    (folder / "own").write_text(f"9:name=systemd:/\n{own}\n")
    for name, text in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "own", folder / "cgroup"


@pytest.mark.parametrize(
    ("own", "files", "cpus"),
    [
        (V2, {"cpu.max": "400000 100000\n"}, 4),
        (V2, LIMITED, 1),
        (V2, {"cpu.max": "50000 100000\n"}, 1),
        (V2, {"cpu.max": "max 100000\n"}, 16),
        (V2, {"cpu.max": "6400000 100000\n"}, 16),
        (V2, {"cpu.max": "rubbish"}, 16),
        (V2, {}, 16),
        ("0::/pod/app", {"pod/cpu.max": "300000 100000", "pod/app/cpu.max": "max 100000"}, 3),
        ("0::/../../host/pod", {"cpu.max": "200000 100000"}, 2),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "200000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 2),
        (V1, {"cpu/docker/12ab/cpu.cfs_quota_us": "300000", "cpu/docker/12ab/cpu.cfs_period_us": "100000"}, 3),
        (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 16),
        ("5:cpuset:/", {"cpuset/cpu.cfs_quota_us": "200000", "cpuset/cpu.cfs_period_us": "100000"}, 16),
    ],
)
def test_the_smallest_quota_counts(tmp_path: Path, own: str, files: Mapping[str, str], cpus: int) -> None:
    assert available_cpus(*groups(tmp_path, own, files)) == cpus


def test_a_machine_without_control_groups_has_its_affinity(tmp_path: Path) -> None:
    assert available_cpus(tmp_path / "none", tmp_path) == 16


def test_a_quota_limits_threads_unless_the_user_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = groups(tmp_path, V2, {"cpu.max": "400000 100000"})
    limit_threads(*places)
    assert os.environ[VARIABLE] == "4"
    monkeypatch.setenv(VARIABLE, "7")
    limit_threads(*places)
    assert os.environ[VARIABLE] == "7"


def test_without_a_quota_libraries_decide(tmp_path: Path) -> None:
    limit_threads(*groups(tmp_path, V2, {"cpu.max": "max 100000"}))
    assert VARIABLE not in os.environ


def test_the_command_limits_pytorch_before_it_is_imported(tmp_path: Path) -> None:
    places = groups(tmp_path, V2, LIMITED)
    code = (
        "import os, pathlib; os.sched_getaffinity = lambda _: set(range(16))\n"
        "from driftwatch import cli, cpus\n"
        f"own, mounted = map(pathlib.Path, {[str(each) for each in places]!r})\n"
        "cli.limit_threads = lambda: cpus.limit_threads(own, mounted)\n"
        "import driftwatch.cli.app as app\n"
        "def main():\n"
        "    import torch\n"
        "    print(torch.get_num_threads())\n"
        "app.main = main\n"
        "cli.main()\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
