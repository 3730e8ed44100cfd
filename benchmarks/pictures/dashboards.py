"""The pictures of docs/observing.md: a broker, two daemons with four streams, Prometheus, and nine minutes of traffic.

Run ``python -m benchmarks.pictures.dashboards REFERENCE`` with the reference that ``make demo`` leaves. One camera's
lens comes loose and is fastened again, another camera stays sharp, and for a while a scanner sends unusable messages. A
third camera posts its images to a sidecar, occasionally more than the sidecar can queue.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import yaml
from kafka import KafkaAdminClient, KafkaProducer

from deploy.grafana.ask import View
from deploy.grafana.draw import draw
from driftwatch.data.codecs import encode
from driftwatch.data.schema import ImageSchema
from driftwatch.demo.camera import SIDE, out_of_focus, sharp
from tests.broker import start_broker
from tests.broker.broker import free_ports
from tests.prometheus import SCRAPE_S, prometheus
from tests.synthetic import SCHEMA, small_bundle, waves

DOCS = Path(__file__).parents[2] / "docs"
TOPIC = "requests"
BATCH = 10
SECONDS = 540.0
BLURRED, BROKEN = (200.0, 360.0), (420.0, 450.0)
POSTED, BURST_EVERY_S, BURST = 6.0, 120, 150
"""Requests to the sidecar per second, seconds between bursts, and requests in a burst."""

MOST_BLURRED = 0.5
"""The largest share of blurred images: the lens comes loose gradually, and is fastened at the end."""

CAMERA = ImageSchema(channels=1, height=SIDE, width=SIDE)
STREAMS = {"entrance camera": 8.0, "lobby camera": 5.0, "scanner": 3.0}
"""Messages per second."""


def main(reference: Path) -> None:
    """Run the scene and draw both dashboards into docs/."""
    with tempfile.TemporaryDirectory() as name, start_broker() as broker, _receiver() as hook:
        folder, ports = Path(name), free_ports(2)
        config = {
            "source": {"kind": "kafka", "bootstrap_servers": [broker.bootstrap], "topic": TOPIC},
            "streams": [
                {"name": "entrance camera", "reference": str(reference)},
                {"name": "lobby camera", "reference": str(reference)},
                {"name": "scanner", "reference": str(small_bundle(folder))},
            ],
            "windows": {"sizes": [50, 200], "step": 10},
            "sinks": [{"kind": "log"}, {"kind": "webhook", "url": hook}],
            "server": {"port": ports[0]},
        }
        sidecar = {
            "source": {"kind": "http", "queue": {"messages": 20}},
            "streams": [{"name": "gate camera", "reference": str(reference)}],
            "windows": {"sizes": [50, 200], "step": 10},
            "server": {"port": ports[1]},
        }
        with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:
            admin.create_topics({TOPIC: {"num_partitions": 1}}, wait_for_metadata=True)
        daemons = []
        try:
            for number, each in enumerate((config, sidecar)):
                file = folder / f"{number}.yaml"
                file.write_text(yaml.safe_dump(each))
                daemons.append(subprocess.Popen([sys.executable, "-m", "driftwatch", "run", str(file)]))
            with prometheus(folder, [f"127.0.0.1:{port}" for port in ports]) as url:
                for port in ports:
                    await_ready(f"http://127.0.0.1:{port}/readyz")
                began = time.time()
                poster = threading.Thread(target=_post, args=(f"http://127.0.0.1:{ports[1]}/",))
                poster.start()
                _traffic(broker.bootstrap)
                poster.join()
                draw(View(url, began, time.time(), SCRAPE_S, {"stream": ["entrance camera"]}), DOCS)
        finally:
            for daemon in daemons:
                daemon.terminate()
                daemon.wait(30)


def _traffic(bootstrap: str) -> None:
    """Send the messages of the three streams, in real time."""
    rng = np.random.default_rng(3)
    started, pause = time.monotonic(), threading.Event()
    due = dict.fromkeys(STREAMS, 0.0)
    with closing(KafkaProducer(bootstrap_servers=bootstrap, linger_ms=5)) as producer:
        while (now := time.monotonic() - started) < SECONDS:
            for stream, rate in STREAMS.items():
                while due[stream] <= now:
                    value, headers = message(stream, due[stream], rng)
                    producer.send(
                        TOPIC, value=value, headers=[*headers.items(), ("driftwatch-stream", stream.encode())]
                    )
                    due[stream] += rng.exponential(1 / rate)
            pause.wait(0.05)
        producer.flush()


def _post(url: str) -> None:
    """Post the images of the gate camera, in real time."""
    rng = np.random.default_rng(4)
    started, pause, burst = time.monotonic(), threading.Event(), BURST_EVERY_S
    with httpx.Client() as client:
        while (now := time.monotonic() - started) < SECONDS:
            count = BURST if now > burst else 1
            burst += BURST_EVERY_S if now > burst else 0
            for _ in range(count):
                value, headers = encode(sharp(1, rng)[:, None].astype(np.float32), CAMERA, "npy")
                client.post(url, content=value, headers={name: text.decode() for name, text in headers.items()})
            pause.wait(rng.exponential(1 / POSTED))


def message(stream: str, second: float, rng: np.random.Generator) -> tuple[bytes, dict[str, bytes]]:
    """The body and headers of the message that a stream sends at a second of the scene."""
    if stream == "scanner":
        if BROKEN[0] <= second < BROKEN[1] and rng.random() < 0.2:
            return b'{"instances": [[1, 2, 3]]}', {"content-type": b"application/json"}
        return encode(waves(BATCH, seed=int(rng.integers(1 << 31))), SCHEMA, "npy")
    loose = (second - BLURRED[0]) / (BLURRED[1] - BLURRED[0]) if stream == "entrance camera" else 0.0
    blurred = rng.binomial(BATCH, MOST_BLURRED * loose if 0 < loose < 1 else 0.0)
    images = np.concatenate([sharp(BATCH - blurred, rng), out_of_focus(blurred, rng)])
    return encode(images[:, None].astype(np.float32), CAMERA, "npy")


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Accept an alert."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def _receiver() -> Iterator[str]:
    """A receiver of webhook alerts; yields its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def await_ready(url: str) -> None:
    """Wait until a URL responds with success."""
    pause = threading.Event()
    while True:
        try:
            if httpx.get(url, timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        pause.wait(0.5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path)
    main(parser.parse_args().reference)
