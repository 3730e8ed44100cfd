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
MOST_EXPOSURE = 1.5
"""On the scale of ``systemd-analyze security``, 0 to 10; most of the rest is the network, which the daemon needs."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program that exists in ExecStart."""
    required("systemd-analyze", "systemd")
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/driftwatch/bin/driftwatch", sys.executable))
    return path


def analyze(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *command], capture_output=True, text=True, check=False, timeout=60)


def test_systemd_understands_every_line(unit: Path) -> None:
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_mistake_in_the_unit_would_be_found(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHom="))
    assert "ProtectHom" in analyze("verify", "--man=no", unit).stderr


def test_the_unit_is_hardened(unit: Path) -> None:
    done = analyze("security", "--offline=yes", f"--threshold={MOST_EXPOSURE * 10:.0f}", unit)
    assert done.returncode == 0, done.stdout[-300:]


def test_exit_codes_and_folders_agree_with_the_daemon() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign, assignment]
    parser.read_string(UNIT.read_text())
    service = parser["Service"]
    assert service["Type"] == "exec"
    assert service["RestartPreventExitStatus"] == str(ConfigError.exit_code)
    assert service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"
    assert f"/etc/{service['ConfigurationDirectory']}/daemon.yaml" in service["ExecStart"]
