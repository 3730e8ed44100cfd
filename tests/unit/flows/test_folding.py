"""A folded flow is the same function."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from driftwatch.flows.base import Flow
from driftwatch.flows.features import FeatureTransform
from driftwatch.flows.folding import fold
from driftwatch.flows.image import ImageFlow
from driftwatch.flows.vector import VectorFlow


def image_flow() -> tuple[Flow, torch.Tensor]:
    return ImageFlow(3, 9, 12, scales=2, steps=2, hidden=8), torch.randint(0, 256, (5, 3, 9, 12)).double()


def vector_flow() -> tuple[Flow, torch.Tensor]:
    rows = np.random.default_rng(0).standard_normal((400, 5))
    features = FeatureTransform.fit(rows, ["numeric"] * 5, missing=False)
    return VectorFlow(features, layers=3, hidden=8, bins=4), torch.from_numpy(rows[:7])


@pytest.fixture(params=[image_flow, vector_flow], ids=["image", "vector"])
def flow_and_samples(request: pytest.FixtureRequest) -> tuple[Flow, torch.Tensor]:
    torch.manual_seed(0)
    flow, raw = request.param()
    flow = flow.double().eval()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return flow, flow.prepare(raw, noise="content")


def test_a_folded_flow_has_the_same_latents_and_log_determinant(flow_and_samples: tuple[Flow, torch.Tensor]) -> None:
    flow, x = flow_and_samples
    (latents, log_det), (folded, folded_log_det) = flow(x), fold(flow)(x)
    for one, other in zip(latents, folded, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    torch.testing.assert_close(log_det, folded_log_det, rtol=0, atol=1e-9)


def test_a_folded_flow_has_the_same_inverse(flow_and_samples: tuple[Flow, torch.Tensor]) -> None:
    flow, x = flow_and_samples
    folded = fold(flow)
    torch.testing.assert_close(folded.inverse(folded(x)[0]), x, rtol=0, atol=1e-7)


def test_folding_leaves_the_original_unchanged(flow_and_samples: tuple[Flow, torch.Tensor]) -> None:
    flow, _ = flow_and_samples
    before = {name: value.clone() for name, value in flow.state_dict().items()}
    folded = fold(flow)
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert all(parameter.requires_grad for parameter in flow.parameters())
    for name, value in flow.state_dict().items():
        assert torch.equal(before[name], value), name
