"""Likelihood of samples under a flow, in bits per dimension."""

from __future__ import annotations

import math

from driftwatch.data.schema import Samples
from driftwatch.flows.base import Flow
from driftwatch.reference.latents import batch_latents, batch_rows, fixed_batches


def to_bits_per_dim(nats: float, flow: Flow) -> float:
    """Convert a negative log-likelihood in nats per sample to bits per dimension of the flow."""
    return nats / (flow.dim * math.log(2))


def mean_bits_per_dim(flow: Flow, samples: Samples) -> float:
    """The mean over samples ``(N, *sample_shape)``, with content noise.

    A sample that overflows the flow counts as `driftwatch.reference.latents.NLL_LIMIT`, so the mean is always finite.
    """
    training = flow.training
    flow.eval()
    total = 0.0
    for batch, count in fixed_batches(samples, *batch_rows(flow)):
        total += float(batch_latents(flow, batch, count).nll[:count].sum())
    flow.train(training)
    return to_bits_per_dim(total / len(samples), flow)
