"""A sample has the same summary, to the last bit, at any place in a batch: for every kind and size of sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from driftwatch.data.schema import ImageSchema, Schema, VectorSchema
from driftwatch.reference.architecture import new_flow
from driftwatch.reference.bundle import Bundle
from driftwatch.reference.calibration import calibrate
from driftwatch.reference.latents import BATCH_SIZE
from driftwatch.reference.loading import reference_from
from driftwatch.reference.reference import Reference
from driftwatch.reference.train_config import FlowConfig

SCHEMAS: list[Schema] = [
    *(VectorSchema(dim=dim) for dim in (1, 2, 3, 5, 9, 17, 31, 45, 101)),
    *(
        ImageSchema(channels=channels, height=height, width=width)
        for channels, height, width in ((1, 8, 8), (3, 12, 12), (2, 9, 7), (1, 28, 28))
    ),
]


def untrained(schema: Schema) -> tuple[Reference, np.ndarray]:
    """A reference with a flow of random weights, and samples for it."""
    rng, image = np.random.default_rng(0), isinstance(schema, ImageSchema)
    samples = rng.normal(size=(800, *schema.shape))
    if image:
        samples = np.clip(np.rint(128 + 40 * samples), 0, 255).astype(np.float32)
    torch.manual_seed(0)
    flow = new_flow(FlowConfig(scales=2, steps=2, layers=3, hidden=16), schema, samples)
    for parameter in flow.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    flow.initialise(flow.prepare(torch.from_numpy(samples[:256]), noise="content").to(torch.float32))
    flow.eval().requires_grad_(requires_grad=False)
    arrays = calibrate(flow, samples[:400], samples[400:])
    return reference_from(Bundle(Path("none"), "untrained", "0", schema, flow, arrays, {})), samples


@pytest.fixture(scope="module", params=SCHEMAS, ids=lambda schema: "x".join(map(str, schema.shape)))
def untrained_reference(request: pytest.FixtureRequest) -> tuple[Reference, np.ndarray]:
    return untrained(request.param)


def test_a_sample_has_the_same_summary_at_every_place(untrained_reference: tuple[Reference, np.ndarray]) -> None:
    reference, samples = untrained_reference
    first = reference.summarise(samples[:BATCH_SIZE])
    for place in (1, 2, 3, 5, 16, 33, 63):
        moved = reference.summarise(samples[place : place + BATCH_SIZE].copy())
        np.testing.assert_array_equal(first[place:], moved[: BATCH_SIZE - place], err_msg=f"moved by {place}")


def test_a_sample_has_the_same_summary_in_batches_of_any_size(
    untrained_reference: tuple[Reference, np.ndarray],
) -> None:
    reference, samples = untrained_reference
    first = np.concatenate([reference.summarise(samples[k : k + BATCH_SIZE]) for k in range(0, 512, BATCH_SIZE)])
    for rows in (128, 192, 512):
        batch = reference.summarise(samples[:rows].copy())
        np.testing.assert_array_equal(first[:rows], batch, err_msg=f"{rows} rows")
    padded = np.concatenate([samples[:5], np.zeros_like(samples[: BATCH_SIZE - 5])])
    np.testing.assert_array_equal(first[:5], reference.summarise(padded, 5)[:5], err_msg="five rows that are real")
