"""Whether a daemon's memory grows over an hour of 1,000 samples/s with drifts, replayed as fast as possible.

    python -m benchmarks.soak [--samples 3600000]

Measured is the process's private memory (``RssAnon``), which excludes cached pages of the data file.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.daemons import RunningDaemon, launch
from tests.synthetic import shuffled_rows, small_bundle, waves

LOOP, DRIFT = 200_000, 5_000
READINGS = 20
FIRST = 2
"""Readings until everything has happened once: a drift, an alert, its end."""


def main() -> None:
    """Print a reading for each twentieth of the samples, and the growth from the third reading to the last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=3_600_000)
    samples = parser.parse_args().samples
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = small_bundle(folder)
        plain, moved = waves(LOOP - DRIFT, seed=1), shuffled_rows(waves(DRIFT, seed=2))
        np.save(folder / "stream.npy", np.concatenate([plain, moved])[:, 0].astype(np.uint8))
        config = {
            "source": {"kind": "replay", "data": [str(folder / "stream.npy")], "stream": "waves", "loop": True},
            "streams": [{"name": "waves", "reference": str(bundle)}],
            "state_dir": str(folder / "state"),
        }
        daemon = launch(config, folder, "soak")
        try:
            daemon.wait_for("address", lambda: any(line["event"] == "serving" for line in daemon.lines()))
            daemon.url = next(line["url"] for line in daemon.lines() if line["event"] == "serving")
            _watch(daemon, samples)
        finally:
            daemon.kill()


def _watch(daemon: RunningDaemon, samples: int) -> None:
    readings: list[tuple[float, float]] = []
    started = time.monotonic()
    print("| samples | alerts | private memory, MiB | minutes |\n| ---: | ---: | ---: | ---: |")
    for reading in range(1, READINGS + 1):
        due = samples * reading / READINGS
        while (seen := daemon.metric("driftwatch_samples_total")) < due:
            if daemon.process.poll() is not None:
                raise SystemExit(daemon.log.read_text()[-2_000:])
            time.sleep(0.5)
        readings.append((seen, own_mib(daemon)))
        minutes = (time.monotonic() - started) / 60
        alerts = daemon.metric("driftwatch_alerts_total")
        print(f"| {seen:,.0f} | {alerts:.0f} | {readings[-1][1]:.1f} | {minutes:.1f} |", flush=True)
    seen, own = np.array(readings[FIRST:]).T
    slope = float(np.polyfit(seen, own, 1)[0])
    print(f"\nGrowth from reading {FIRST + 1} on: {1e6 * slope:+.2f} MiB per million samples")


def own_mib(daemon: RunningDaemon) -> float:
    """The daemon's private memory, MiB."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) / 1024  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
