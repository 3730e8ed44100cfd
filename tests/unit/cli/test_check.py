"""``driftwatch check`` says who can post samples."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import yaml

from driftwatch.cli.app import _run

TOKEN = "long enough"


@pytest.mark.parametrize(
    ("source", "server", "told"),
    [
        ({}, {"host": "127.0.0.1"}, "http://127.0.0.1:9464/ by programs of this machine;"),
        ({"token": TOKEN}, {"host": "127.0.0.1"}, "http://127.0.0.1:9464/ by programs of this machine with a token;"),
        ({"host": "localhost", "port": 8080}, {}, "http://localhost:8080/ by programs of this machine;"),
        ({"anonymous": True}, {"host": "0.0.0.0"}, "http://0.0.0.0:9464/ by anyone who reaches it;"),
        ({"token": TOKEN}, {"host": "0.0.0.0"}, "http://0.0.0.0:9464/ by anyone who reaches it with a token;"),
    ],
)
def test_who_can_post(
    tmp_path: Path, source: dict[str, object], server: dict[str, object], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    forward = {"bootstrap_servers": ["127.0.0.1:1"], "topic": "requests"}
    settings = {"source": {"kind": "http", "forward": forward, **source}, "server": {"port": 9464, **server}}
    (tmp_path / "forward.yaml").write_text(yaml.safe_dump(settings))
    assert _run(["check", str(tmp_path / "forward.yaml"), "--offline", "--format", "json"]) == 0
    assert told in orjson.loads(capsys.readouterr().out)["source"]
