"""One daemon watches a table and embeddings, each with its own reference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import yaml

from driftwatch.data.codecs import encode
from driftwatch.data.schema import VectorSchema
from driftwatch.stream.log import Record
from driftwatch.stream.sampling import watched
from tests.forked import run as driftwatch
from tests.integration.conftest import Cluster, StartDaemon

ROWS = 6_000
DIM = 12
BATCH = 20
FRACTION = 0.5
STEP = 10  # samples wait until their pane is full


def loans(count: int, seed: int) -> dict[str, list[Any]]:
    """Rows of a table: income rises with age, and is sometimes missing; plan depends on town."""
    rng = np.random.default_rng(seed)
    age = rng.normal(45, 12, count).clip(18, 90)
    income = np.exp(9 + 0.03 * age + rng.normal(0, 0.2, count))
    town = rng.choice(["Bonn", "Köln", "Ulm"], count, p=[0.5, 0.3, 0.2])
    plan = np.where(rng.random(count) < 0.9, np.where(town == "Bonn", "basic", "plus"), "pro")
    missing = rng.random(count) < 0.05
    return {
        "age": age.round(1).tolist(),
        "income": [None if gone else round(float(value), 2) for value, gone in zip(income, missing, strict=True)],
        "town": town.tolist(),
        "plan": plan.tolist(),
    }


def shuffled_columns(table: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The same columns, each permuted independently: no single column has changed."""
    rng = np.random.default_rng(0)
    return {name: [values[i] for i in rng.permutation(len(values))] for name, values in table.items()}


def embeddings(count: int, seed: int) -> np.ndarray:
    """Three clusters in a few directions."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, 2, (3, DIM))
    return centres[rng.integers(0, 3, count)] + rng.normal(0, 0.5, (count, DIM))


def train(folder: Path, name: str, data: Path) -> Path:
    config = folder / f"{name}.yaml"
    training = {"minutes": None, "max_steps": 200, "batch_size": 128, "validate_every": 100, "precision": "float32"}
    training["validation_fraction"] = 0.015  # too few to search for the smallest detectable shifts, which takes long
    flow = {"layers": 4, "hidden": 32}
    config.write_text(yaml.safe_dump({"data": {"train": str(data)}, "flow": flow, "training": training}))
    driftwatch("train", config, "--out", folder / name)
    return folder / name


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("kinds")
    table = loans(ROWS, 1)
    lines = [",".join(table)] + [
        ",".join("" if cell is None else str(cell) for cell in row) for row in zip(*table.values(), strict=True)
    ]
    (folder / "loans.csv").write_text("\n".join(lines))
    np.save(folder / "chats.npy", embeddings(ROWS, 1))
    return {
        name: train(folder, name, folder / f"{name}{suffix}") for name, suffix in (("loans", ".csv"), ("chats", ".npy"))
    }


Message = tuple[bytes, dict[str, bytes]]


def rows_of(table: dict[str, list[Any]]) -> Iterator[Message]:
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        body = batch if start % (2 * BATCH) else {"instances": batch}
        yield orjson.dumps(body), {"content-type": b"application/json", "driftwatch-stream": b"loans"}


def events_of(vectors: np.ndarray) -> Iterator[Message]:
    """Messages as KServe's logger sends them: CloudEvents in binary mode."""
    for number, start in enumerate(range(0, len(vectors), BATCH)):
        value, headers = encode(
            vectors[start : start + BATCH], VectorSchema(dim=DIM), ("v2", "arrow", "npy")[number % 3]
        )
        attributes = {"specversion": "1.0", "id": str(number), "type": "request", "source": "http://a.example/"}
        cloud_event = {f"ce_{name}": value.encode() for name, value in attributes.items()}
        yield value, {**headers, **cloud_event, "ce_inferenceservicename": b"chats"}


def test_a_daemon_watches_streams_of_different_kinds(
    cluster: Cluster, references: dict[str, Path], start_daemon: StartDaemon
) -> None:
    cluster.create()
    calm, drifted = list(rows_of(loans(2_000, 2))), list(rows_of(shuffled_columns(loans(600, 3))))
    chats = list(events_of(embeddings(2_600, 2)))
    sent = [message for pair in zip([*calm, *drifted], chats, strict=True) for message in pair]
    cluster.send(sent)
    daemon = start_daemon(
        {
            "source": cluster.source(),
            "streams": [
                {"name": "loans", "reference": str(references["loans"])},
                {"name": "chats", "reference": str(references["chats"]), "sample_fraction": FRACTION},
            ],
            "windows": {"sizes": [50, 200], "step": STEP},
        }
    )
    (first, *_) = cluster.read("alerts", lambda found: len(found) >= 1)
    alert = orjson.loads(first.value)["data"]
    assert alert["stream"] == "loans"
    assert alert["state"] == "firing"
    (span,) = alert["window"]["offsets"]
    onset = 2 * len(calm)
    assert onset <= span["last"] < onset + 2 * 200 // BATCH, (
        "within 200 samples, and not before the columns are shuffled"
    )

    chosen = sum(
        len(watched(Record(cluster.topic, 0, offset, 0, None, b"", ()), BATCH, FRACTION))
        for offset in range(1, len(sent), 2)
    )
    assert abs(chosen - FRACTION * 2_600) < 4 * (2_600 * FRACTION * (1 - FRACTION)) ** 0.5
    daemon.wait_for(
        "all samples",
        lambda: (
            daemon.metric('driftwatch_samples_total{stream="chats"}') == chosen - chosen % STEP
            and daemon.metric('driftwatch_samples_total{stream="loans"}') == 2_600
        ),
    )
    daemon.wait_for("no lag", lambda: daemon.metric("driftwatch_consumer_lag") == 0)
    assert daemon.metric('driftwatch_drift{stream="chats"}') == 0
    assert daemon.metric('driftwatch_drift{stream="loans"}') == 1
    assert daemon.metric("driftwatch_dead_letters_total") == 0
