"""Steps of the optimiser."""

from __future__ import annotations

import numpy as np
import torch

from driftwatch.flows.features import FeatureTransform
from driftwatch.flows.vector import VectorFlow
from driftwatch.reference.train_config import TrainingConfig
from driftwatch.reference.weights import Weights

WIDE = 256


def flow_and_rows(dim: int) -> tuple[VectorFlow, torch.Tensor]:
    """A flow as training begins, and its correlated rows."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((512, 20)) @ rng.standard_normal((20, dim)) + 0.3 * rng.standard_normal((512, dim))
    torch.manual_seed(0)
    flow = VectorFlow(FeatureTransform.fit(rows, ["numeric"] * dim, missing=False), layers=2, hidden=16)
    x = flow.prepare(torch.from_numpy(rows), noise="content")
    flow.initialise(x)
    return flow, x


def test_a_first_step_moves_a_matrix_the_less_the_more_columns_it_has() -> None:
    flow, x = flow_and_rows(WIDE)
    before = {name: parameter.detach().clone() for name, parameter in flow.named_parameters()}
    weights = Weights(flow, decay=0.9)
    (-flow.log_prob(x).mean()).backward()
    weights.step(1e-3, 0)
    moved = {
        name: float((parameter.detach() - before[name]).abs().max()) for name, parameter in flow.named_parameters()
    }
    np.testing.assert_allclose(moved["layers.0.mix.bias"], 1e-3, rtol=0.1)
    np.testing.assert_allclose(moved["layers.0.mix.lower"], 1e-3 / 4, rtol=0.1)
    np.testing.assert_allclose(moved["layers.0.conditioner.last.weight"], 1e-3, rtol=0.1)


def test_embeddings_are_learnt_at_the_default_rate() -> None:
    flow, x = flow_and_rows(WIDE)
    weights = Weights(flow, decay=0.9)
    losses = []
    for step in range(8):
        flow.zero_grad(set_to_none=True)
        loss = -flow.log_prob(x[step % 8 :: 8]).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.parameters, 1.0)
        weights.step(TrainingConfig.model_fields["learning_rate"].default, step)
        losses.append(float(loss.detach()))
    assert max(losses[1:]) < losses[0]
