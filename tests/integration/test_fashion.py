"""End to end on real data: clothes are published, then digits, and the daemon raises an alert."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
import yaml

from tests.datasets import fashion_mnist, mnist_digits
from tests.forked import run as driftwatch
from tests.integration.conftest import Cluster, StartDaemon

BATCH = 25
BEFORE, DURING, AFTER = 2_500, 1_000, 1_500
TRAINING_STEPS = 100
ALERT_WITHIN = 50


@pytest.fixture(scope="module")
def fashion_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference trained as a user would, but for a much shorter time."""
    folder = tmp_path_factory.mktemp("fashion")
    config = folder / "train.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "data": {"train": str(fashion_mnist() / "train-images-idx3-ubyte.gz")},
                "flow": {"steps": 2, "hidden": 32},
                # Few samples to try shifts on, since that would take longer than this training.
                "training": {"minutes": None, "max_steps": TRAINING_STEPS, "validation_fraction": 0.001},
                # Enough that windows of 500 are small in comparison; large ones take longer to simulate.
                "calibration": {"samples": 4_000},
            }
        )
    )
    output = driftwatch("train", config, "--out", folder / "fashion")
    assert "padded to 32x32" in output
    assert (folder / "fashion" / "report.png").stat().st_size > 10_000
    return folder / "fashion"


def last_offset(alert: bytes) -> int:
    (span,) = orjson.loads(alert)["data"]["window"]["offsets"]
    return int(span["last"])


def test_digits_among_clothes_fire_an_alert_that_resolves_when_they_end(
    cluster: Cluster, fashion_bundle: Path, start_daemon: StartDaemon
) -> None:
    cluster.create()
    clothes, digits = fashion_mnist() / "t10k-images-idx3-ubyte.gz", mnist_digits()
    to = ("--bootstrap", cluster.bootstrap, "--topic", cluster.topic, "--stream", "clothes", "--batch", str(BATCH))
    parts: Sequence[tuple[Path, int, int, str]] = (
        (clothes, 0, BEFORE, "npy"),
        (digits, 0, DURING, "json"),
        (clothes, BEFORE, AFTER, "v2"),
    )
    for data, first, count, form in parts:
        driftwatch("publish", data, *to, "--offset", str(first), "--limit", str(count), "--format", form)
    daemon = start_daemon(
        {
            "source": cluster.source(),
            "streams": [{"name": "clothes", "reference": str(fashion_bundle)}],
            "sinks": [{"kind": "kafka", "topic": cluster.named("alerts")}, {"kind": "log"}],
        }
    )
    found = cluster.read(
        "alerts", lambda alerts: any(orjson.loads(each.value)["data"]["state"] == "resolved" for each in alerts)
    )
    alerts = [orjson.loads(each.value) for each in found]
    states = [alert["data"]["state"] for alert in alerts]
    switch, back = BEFORE // BATCH, (BEFORE + DURING) // BATCH

    assert switch <= last_offset(found[0].value) < switch + ALERT_WITHIN // BATCH, "fires within 50 samples"
    assert states[-1] == "resolved"
    assert states.count("resolved") == 1
    assert last_offset(found[-1].value) >= back
    assert alerts[0]["type"] == "io.driftwatch.drift.v1"
    assert alerts[0]["specversion"] == "1.0"
    assert alerts[0]["data"]["p_value"] < 1e-5
    assert alerts[0]["data"]["effect"]["nats"] > 0

    total = BEFORE + DURING + AFTER
    daemon.wait_for("all samples", lambda: daemon.metric("driftwatch_samples_total") == total)
    series = 'driftwatch_alerts_total{{severity="{}",state="{}",stream="clothes"}}'
    severities = ("warning", "critical")
    assert sum(daemon.metric(series.format(level, "firing")) for level in severities) == states.count("firing")
    assert sum(daemon.metric(series.format(level, "resolved")) for level in severities) == 1
    assert daemon.metric('driftwatch_drift{stream="clothes"}') == 0
    assert daemon.metric("driftwatch_dead_letters_total") == 0
    assert daemon.get("/readyz").status_code == 200
    assert any(line["event"] == "drift" for line in daemon.lines())


def test_evaluate_and_score_read_a_trained_bundle(fashion_bundle: Path, tmp_path: Path) -> None:
    clothes, digits = fashion_mnist() / "t10k-images-idx3-ubyte.gz", mnist_digits()
    output = driftwatch(
        "evaluate", fashion_bundle, "--reference", clothes, "--shifted", f"digits={digits}",
        "--windows", "1,50", "--samples", "2000", "--format", "json",
    )  # fmt: skip
    rows = orjson.loads(output[output.index("[") : output.rindex("]") + 1])
    found = {(row["detector"], row["window"]): row for row in rows}
    assert {row["detector"] for row in rows} == {"combined", "kl", "geometry", "nll", "typicality"}
    assert found["combined", 50]["auroc"] > 0.99
    assert found["combined", 50]["tpr_at_budget"] > 0.9
    assert found["nll", 1]["auroc"] < 0.5, "digits are more likely than the clothes that the flow was trained on"

    out = tmp_path / "scores.csv"
    driftwatch("score", fashion_bundle, digits, "--window", "50", "--out", out)
    header, *rest = out.read_text().splitlines()
    assert header.replace('"', "") == "index,score,location,scale,dependence,nll,p_value"
    assert len(rest) == 10_000
