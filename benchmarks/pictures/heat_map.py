"""The picture of an alert's heat map in docs/design.md: images of clothes brightened in one place.

Run ``python -m benchmarks.pictures.heat_map bundles/fashion`` with the reference of ``configs/image.train.yaml``; it
takes a minute.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import yaml

from benchmarks.detection import fashion
from benchmarks.pictures.dashboards import DOCS, await_ready
from tests.broker.broker import free_ports
from tests.browser import chromium, visit

WIDTH = 1_160
LEVELS = 40
PLACE = np.s_[:, 18:25, 3:10]
WINDOW = 50


def main(reference: Path, out: Path = DOCS / "heat-map.png") -> None:
    """Run a daemon until it alarms, and take a screenshot of the alert."""
    with tempfile.TemporaryDirectory() as name:
        url = f"http://127.0.0.1:{free_ports(1)[0]}"
        config = {
            "source": {"kind": "http"},
            "streams": [{"name": "fashion", "reference": str(reference.absolute())}],
            "windows": {"sizes": [WINDOW], "step": 10},
            "server": {"port": int(url.rsplit(":", 1)[1])},
        }
        file = Path(name, "daemon.yaml")
        file.write_text(yaml.safe_dump(config))
        daemon = subprocess.Popen([sys.executable, "-m", "driftwatch", "run", str(file)])
        try:
            await_ready(f"{url}/readyz")
            _post(url)
            _take(url, out)
        finally:
            daemon.terminate()
            daemon.wait(30)


def _post(url: str) -> None:
    images = fashion.images("t10k")[:WINDOW].astype(np.int64)
    images[PLACE] += LEVELS
    body = BytesIO()
    np.save(body, np.minimum(images, 255).astype(np.uint8))
    answer = httpx.post(url, content=body.getvalue(), headers={"driftwatch-stream": "fashion"})
    answer.raise_for_status()


def _take(url: str, out: Path) -> None:
    with chromium() as browser, visit(browser, url, width=WIDTH) as seen:
        seen.wait_for("document.querySelector('#alerts .heat') !== null")
        seen.page.locator("#alerts > li").first.screenshot(path=out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path)
    main(parser.parse_args().reference)
