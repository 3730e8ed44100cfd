"""Summaries of torch tensors, as on a GPU, equal those of NumPy arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from driftwatch.data.schema import ImageSchema, Schema, VectorSchema
from driftwatch.reference.latents import batch_latents
from driftwatch.reference.summariser import as_tensors
from driftwatch.stats.decomposition import decompose
from driftwatch.stats.summary import summarise_each
from tests.unit.reference.test_places import untrained

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "schema",
    [ImageSchema(channels=3, height=12, width=9), VectorSchema(dim=5), VectorSchema(dim=101)],
    ids=lambda schema: "x".join(map(str, schema.shape)),
)
def test_tensors_have_the_same_summaries(schema: Schema) -> None:
    reference, samples = untrained(schema)
    batch = np.ascontiguousarray(samples[:64])
    latents = batch_latents(reference.flow, batch)
    tensors = as_tensors((latents, reference.moments, reference.description), CPU)
    assert isinstance(tensors[0].blocks[0], torch.Tensor)
    whitened = tensors[1].whiten(tensors[0].blocks, tensors[0].nll)
    summaries = summarise_each(whitened, reference.layout, tensors[2].describe(reference.flow, tensors[0], whitened))
    assert isinstance(summaries, torch.Tensor)
    expected = reference.summarise(batch)
    np.testing.assert_allclose(np.asarray(summaries), expected, rtol=1e-9, atol=1e-9)
    parts = decompose(summaries, reference.layout).total
    np.testing.assert_allclose(np.asarray(parts), decompose(expected, reference.layout).total, rtol=1e-7, atol=1e-9)
