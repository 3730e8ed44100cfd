"""The systemd unit, as systemd itself reads it."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

from driftwatch.errors import ConfigError
from tests.programs import required

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "driftwatch.service"
EXPOSURE = 1.5
"""By ``systemd-analyze security``, from 0 to 10: what is left is mostly the network, which it is there for."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists."""
    required("systemd-analyze", "systemd")
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/driftwatch/bin/driftwatch", sys.executable))
    return path


def analyze(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *command], capture_output=True, text=True, check=False, timeout=60)


def test_systemd_understands_every_line(unit: Path) -> None:
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_mistake_would_be_found(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHom="))
    assert "ProtectHom" in analyze("verify", "--man=no", unit).stderr


def test_it_is_hardened(unit: Path) -> None:
    done = analyze("security", "--offline=yes", f"--threshold={EXPOSURE * 10:.0f}", unit)
    assert done.returncode == 0, done.stdout[-300:]


def test_what_it_says_is_true() -> None:
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[method-assign, assignment]
    read.read_string(UNIT.read_text())
    service = read["Service"]
    assert service["Type"] == "exec"
    assert service["RestartPreventExitStatus"] == str(ConfigError.exit_code)
    assert service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"
    assert f"/etc/{service['ConfigurationDirectory']}/daemon.yaml" in service["ExecStart"]
