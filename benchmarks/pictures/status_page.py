"""The picture of the status page in the README: a daemon with three streams over HTTP, until a lens comes loose.

Run ``python -m benchmarks.pictures.status_page REFERENCE`` with the reference that ``make demo`` leaves; it takes five
minutes. The scene is that of `benchmarks.pictures.dashboards`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import yaml
from playwright.sync_api import FloatRect

from benchmarks.pictures.dashboards import BLURRED, DOCS, STREAMS, await_ready, message
from tests.broker.broker import free_ports
from tests.browser import chromium, visit
from tests.synthetic import small_bundle

WIDTH = 1_200
BEGIN = 60.0
"""The second of the scene at which to start: nothing happens before it."""

STANDING_S = 25.0
"""How long the alarm has been on without a break when the picture is taken."""


def main(reference: Path, out: Path = DOCS / "status-page.png") -> None:
    """Run the scene, and take the screenshot while the alarm is on."""
    with tempfile.TemporaryDirectory() as name:
        folder, url = Path(name), f"http://127.0.0.1:{free_ports(1)[0]}"
        references = dict.fromkeys(STREAMS, reference) | {"scanner": small_bundle(folder)}
        config = {
            "source": {"kind": "http"},
            "streams": [{"name": stream, "reference": str(path)} for stream, path in references.items()],
            "windows": {"sizes": [50, 200], "step": 10},
            "server": {"port": int(url.rsplit(":", 1)[1])},
        }
        (folder / "daemon.yaml").write_text(yaml.safe_dump(config))
        daemon = subprocess.Popen([sys.executable, "-m", "driftwatch", "run", str(folder / "daemon.yaml")])
        try:
            await_ready(f"{url}/readyz")
            _traffic(url)
            _take(url, out)
        finally:
            daemon.terminate()
            daemon.wait(30)


def _traffic(url: str) -> None:
    """Send the messages of the streams, in real time, until the alarm has been on for a while."""
    rng, pause = np.random.default_rng(3), threading.Event()
    started, due, fired = time.monotonic() - BEGIN, dict.fromkeys(STREAMS, BEGIN), None
    with httpx.Client(base_url=url, timeout=10) as client:
        while (now := time.monotonic() - started) < BLURRED[1] and (fired is None or now - fired < STANDING_S):
            for stream, rate in STREAMS.items():
                while due[stream] <= now:
                    body, headers = message(stream, due[stream], rng)
                    named = [(name.encode(), value) for name, value in headers.items()]
                    client.post("/", content=body, headers=[*named, (b"driftwatch-stream", stream.encode())])
                    due[stream] += rng.exponential(1 / rate)
            firing = any(stream["firing"] for stream in client.get("/api/status").json()["streams"])
            fired = (fired or now) if firing else None
            pause.wait(0.05)


def _take(url: str, out: Path) -> None:
    with chromium() as browser, visit(browser, url, width=WIDTH) as seen:
        seen.wait_for("document.title.startsWith('DRIFT')")
        seen.wait_for("document.querySelector('#scores path') !== null")
        bottom = seen.page.evaluate("document.getElementById('detail').getBoundingClientRect().bottom")
        whole: FloatRect = {"x": 0.0, "y": 0.0, "width": WIDTH, "height": bottom + 16}
        seen.page.screenshot(path=out, full_page=True, clip=whole)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path)
    main(parser.parse_args().reference)
