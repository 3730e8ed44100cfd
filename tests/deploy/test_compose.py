"""deploy/compose.yaml: valid by Compose's own loader, and its parts fit together. No container engine is needed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_group

from driftwatch.cli.app import app
from driftwatch.config import KafkaSource, load_config
from tests.deploy.tools import BUILD_S, COMPOSE, built
from tests.programs import required

pytestmark = pytest.mark.timeout(BUILD_S)  # another process may be building Helm at the same time

DEPLOY = Path(__file__).parents[2] / "deploy"
OWN_SERVICES = ("driftwatch", "demo-reference", "demo-stream")


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    """The services as Compose reads them: checked against its schema, with defaults filled in and paths resolved."""
    done = subprocess.run(
        [built(COMPOSE), "-format", "json", "compose.yaml"], cwd=DEPLOY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["services"]
    assert isinstance(found, dict)
    return found


def test_the_services_are_complete_and_their_images_pinned(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == {*OWN_SERVICES, "kafka", "prometheus", "alertmanager", "grafana"}
    assert {name for name, each in services.items() if each.get("profiles")} == {"demo-reference", "demo-stream"}
    pinned = [each["image"] for name, each in services.items() if name not in OWN_SERVICES]
    assert all(image.rpartition(":")[2][0] in "v0123456789" and ":" in image for image in pinned)


def test_services_wait_for_what_they_depend_on(services: dict[str, dict[str, Any]]) -> None:
    waits = {
        (name, other): dependency["condition"]
        for name, each in services.items()
        for other, dependency in each.get("depends_on", {}).items()
    }
    assert waits["driftwatch", "kafka"] == "service_healthy"
    assert waits["driftwatch", "demo-reference"] == "service_completed_successfully"
    assert services["driftwatch"]["depends_on"]["demo-reference"]["required"] is False
    assert all("healthcheck" in services[other] for (_, other), how in waits.items() if how == "service_healthy")
    assert not [name for name, each in services.items() if name not in OWN_SERVICES and "healthcheck" not in each]


def test_services_are_unprivileged_and_listen_on_the_loopback_interface(services: dict[str, dict[str, Any]]) -> None:
    for name, each in services.items():
        assert "no-new-privileges:true" in each["security_opt"], name
        assert all(port["host_ip"] == "127.0.0.1" for port in each.get("ports", [])), name
    for name in OWN_SERVICES:
        assert (services[name]["read_only"], services[name]["cap_drop"]) == (True, ["ALL"])
        assert services[name]["tmpfs"] == ["/tmp"]


def test_mounted_files_exist(services: dict[str, dict[str, Any]]) -> None:
    sources = [Path(mount["source"]) for each in services.values() for mount in each.get("volumes", [])]
    bound = [path for path in sources if path.is_absolute()]
    assert DEPLOY / "prometheus" / "rules.yml" in bound
    assert [path for path in bound if not path.exists()] == []


def test_addresses_agree(services: dict[str, dict[str, Any]]) -> None:
    config = load_config(DEPLOY / "compose.daemon.yaml")
    assert isinstance(config.source, KafkaSource)
    assert config.source.bootstrap_servers == ["kafka:9093"]
    assert "INSIDE://kafka:9093" in services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert str(config.streams[0].reference) == "/bundles/demo/reference"
    assert (config.server.host, config.server.port) == ("0.0.0.0", services["driftwatch"]["ports"][0]["target"])
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (job,) = prometheus["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"driftwatch:{config.server.port}"]}]


def test_the_demo_publishes_to_the_watched_topic_and_stream(services: dict[str, dict[str, Any]]) -> None:
    config = load_config(DEPLOY / "compose.daemon.yaml")
    assert isinstance(config.source, KafkaSource)
    verb, _, *options = services["demo-stream"]["command"]
    stream_options = dict(option.split("=") for option in options)
    assert stream_options["--topic"] == config.source.topic
    assert stream_options["--stream"] == config.streams[0].name
    commands = get_group(app).commands
    assert set(stream_options) <= {option for parameter in commands[verb].params for option in parameter.opts}
    assert "driftwatch demo --out demo --exit" in services["demo-reference"]["command"][0]
    demo_options = {
        option for parameter in commands["demo"].params for option in [*parameter.opts, *parameter.secondary_opts]
    }
    assert {"--out", "--exit"} <= demo_options


def test_alertmanager_accepts_its_configuration() -> None:
    amtool = required("amtool", "prometheus-alertmanager")
    path = DEPLOY / "alertmanager" / "alertmanager.yml"
    done = subprocess.run([amtool, "check-config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
