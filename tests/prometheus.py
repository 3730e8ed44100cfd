"""A real Prometheus from Debian, with the configuration and the rules of deploy/, scraping every second."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

from tests import plain_http
from tests.broker.broker import free_ports
from tests.patience import PATIENCE_S
from tests.programs import required

DEPLOY = Path(__file__).parents[1] / "deploy" / "prometheus"
SCRAPE_S = 1


@contextmanager
def prometheus(folder: Path, targets: Sequence[str]) -> Iterator[str]:
    """A running Prometheus; yields its URL.

    Args:
        folder: for its configuration, its data and its log.
        targets: what to scrape, as host:port.
    """
    tool = required("prometheus", "prometheus")
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s"}
    config["rule_files"] = [str(DEPLOY / "rules.yml")]
    config["scrape_configs"][0]["static_configs"] = [{"targets": list(targets)}]
    del config["alerting"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_ports(1)[0]}"
    command = [
        tool,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _await(process, f"http://{address}", folder / "prometheus.log")
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    pause, deadline = threading.Event(), time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            if plain_http.get(f"{url}/-/ready").is_success:
                return
        except httpx.TransportError:
            pass
        pause.wait(0.05)
