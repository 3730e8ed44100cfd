"""The vector flow: exactly invertible, with autograd's log-determinant, and able to learn a known density."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from driftwatch.flows.build import build_flow
from driftwatch.flows.features import FeatureTransform
from driftwatch.flows.vector import VectorFlow, latent_blocks


def identity_features(dim: int) -> FeatureTransform:
    """A transform of the right shape, for tests of `forward`, which does not apply it."""
    raw = np.random.default_rng(0).standard_normal((200, dim))
    return FeatureTransform.fit(raw, ["numeric"] * dim, missing=False)


def perturbed(flow: VectorFlow, size: float = 0.3) -> VectorFlow:
    """Perturb a flow so that its couplings do something: they start at the identity."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) / 2)
    return flow


def new_flow(dim: int, **settings: int) -> VectorFlow:
    torch.manual_seed(0)
    return VectorFlow(identity_features(dim), **{"layers": 2, "hidden": 8, **settings})


@pytest.mark.parametrize("dim", [1, 2, 5, 16])
def test_inverse_and_log_det_are_exact(dim: int) -> None:
    flow = perturbed(new_flow(dim).double())
    x = 1.5 * torch.randn(4, dim, dtype=torch.float64)
    latents, log_det = flow(x)
    torch.testing.assert_close(flow.inverse(latents), x, rtol=0, atol=1e-8)

    def flat(row: torch.Tensor) -> torch.Tensor:
        return torch.cat([z.flatten() for z in flow(row[None])[0]])

    for row, expected in zip(x, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(flat, row)
        assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(expected.item(), abs=1e-4)


def test_one_row_and_many_rows_have_the_same_map() -> None:
    """Few rows are multiplied by the factors of the mixing one by one, many by their product."""
    flow = perturbed(new_flow(16).double())
    x = torch.randn(40, 16, dtype=torch.float64)
    together, log_det = flow(x)
    alone, log_det_alone = flow(x[:1])
    for a, b in zip(alone, together, strict=True):
        torch.testing.assert_close(a, b[:1], rtol=0, atol=1e-10)
    torch.testing.assert_close(log_det_alone, log_det[:1], rtol=0, atol=1e-10)


@pytest.mark.parametrize("dim", [1, 2, 8, 9, 64, 65, 130, 770, 1_023, 1_024])
def test_blocks_cover_every_dimension_once(dim: int) -> None:
    blocks = latent_blocks(dim)
    assert sum(block.vectors * block.dim for block in blocks) == dim
    assert all(block.dim <= 8 and block.vectors >= 1 for block in blocks)
    assert len(blocks) <= 17
    assert len({block.name for block in blocks}) == len(blocks)


def test_latents_have_the_shapes_of_the_blocks() -> None:
    flow = new_flow(70)
    latents, _ = flow(torch.randn(3, 70))
    assert [tuple(z.shape) for z in latents] == [(3, block.vectors, block.dim) for block in flow.blocks]
    assert flow.dim == 70


def test_initialise_standardises_and_decorrelates() -> None:
    torch.manual_seed(0)
    flow = new_flow(6, layers=3)
    factor = torch.randn(6, 6).tril() + 2 * torch.eye(6)
    x = 5 + torch.randn(4_000, 6) @ factor.T
    flow.initialise(x)
    z = torch.cat([block.flatten(1) for block in flow(x)[0]], dim=1)
    torch.testing.assert_close(z.mean(0), torch.zeros(6), rtol=0, atol=0.02)
    torch.testing.assert_close(torch.cov(z.T), torch.eye(6), rtol=0, atol=0.05)


def test_initialised_on_a_gaussian_the_flow_has_its_entropy() -> None:
    torch.manual_seed(0)
    factor = torch.randn(5, 5).tril() + 2 * torch.eye(5)
    flow = new_flow(5)
    flow.initialise(torch.randn(20_000, 5) @ factor.T)
    entropy = 2.5 * (1 + math.log(2 * math.pi)) + torch.linalg.slogdet(factor)[1].item()
    with torch.no_grad():
        nll = -flow.log_prob(torch.randn(20_000, 5) @ factor.T).mean().item()
    assert nll == pytest.approx(entropy, abs=0.05)


def test_training_learns_dependence_that_no_linear_map_explains() -> None:
    """``x2 = x1^2 + noise``: a Gaussian of the same covariance is far above the true entropy."""
    torch.manual_seed(0)

    def draw(n: int) -> torch.Tensor:
        first = torch.randn(n)
        return torch.stack([first, first.square() + 0.3 * torch.randn(n)], dim=1)

    flow = new_flow(2, layers=4, hidden=32)
    flow.initialise(draw(4_000))
    entropy = (1 + math.log(2 * math.pi)) + math.log(0.3)
    held_out = draw(4_000)
    with torch.no_grad():
        before = -flow.log_prob(held_out).mean().item()
    optimiser = torch.optim.Adam(flow.parameters(), lr=5e-3)
    for _ in range(300):
        optimiser.zero_grad()
        (-flow.log_prob(draw(256)).mean()).backward()
        optimiser.step()
    with torch.no_grad():
        after = -flow.log_prob(held_out).mean().item()
    assert before > entropy + 1.0
    assert entropy - 0.05 < after < entropy + 0.25


def test_rows_are_prepared_the_same_alone_and_together() -> None:
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.standard_normal(500), rng.integers(0, 3, 500), rng.integers(0, 50, 500)])
    rows[::7, 0] = np.nan
    features = FeatureTransform.fit(rows, ["numeric", "category", "integer"], cardinalities=[0, 3, 0])
    flow = VectorFlow(features, layers=1, hidden=4)
    raw = torch.from_numpy(rows[:20])
    together = flow.prepare(raw, noise="content")
    assert torch.equal(together, flow.prepare(raw, noise="content"))
    assert torch.equal(together, torch.cat([flow.prepare(row[None], noise="content") for row in raw]))
    assert together.isfinite().all()
    assert together.dtype == torch.float32


def test_a_twin_with_the_same_state_is_the_same_function() -> None:
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.standard_cauchy(400), rng.integers(0, 3, 400)])
    rows[::9, 0] = np.nan
    torch.manual_seed(0)
    features = FeatureTransform.fit(rows, ["numeric", "category"], cardinalities=[0, 3])
    flow = perturbed(VectorFlow(features, layers=2, hidden=8))
    twin = build_flow(json.loads(json.dumps(flow.architecture())))
    twin.load_state_dict(flow.state_dict())
    raw = torch.from_numpy(rows[:50])
    x, twin_x = flow.prepare(raw, noise="content"), twin.prepare(raw, noise="content")
    assert torch.equal(x, twin_x)
    assert torch.equal(flow.log_prob(x), twin.log_prob(twin_x))
    assert twin.architecture() == flow.architecture()
    assert twin.blocks == flow.blocks


def test_extreme_rows_stay_finite() -> None:
    flow = perturbed(new_flow(5))
    raw = torch.full((2, 5), 1e300, dtype=torch.float64) * torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    latents, log_det = flow(flow.prepare(raw, noise="content"))
    assert all(z.isfinite().all() for z in latents)
    assert log_det.isfinite().all()
