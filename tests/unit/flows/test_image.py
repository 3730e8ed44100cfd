"""The image flow: exactly invertible, with autograd's log-determinant."""

from __future__ import annotations

import math

import pytest
import torch

from driftwatch.errors import TrainingError
from driftwatch.flows.image import ImageFlow, squeeze, unsqueeze


def perturbed(flow: ImageFlow, size: float = 0.1) -> ImageFlow:
    """Perturb a flow so that its couplings do something: they start at the identity."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return flow


SHAPES = [
    {"channels": 1, "height": 8, "width": 8, "scales": 2},
    {"channels": 1, "height": 5, "width": 7, "scales": 2},
    {"channels": 3, "height": 4, "width": 6, "scales": 1},
    {"channels": 2, "height": 8, "width": 4, "scales": 2},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_inverse_and_log_det_are_exact(shape: dict[str, int]) -> None:
    torch.manual_seed(0)
    flow = perturbed(ImageFlow(**shape, steps=2, hidden=8).double())
    raw = torch.randint(0, 256, (2, shape["channels"], shape["height"], shape["width"])).double()
    x = flow.prepare(raw)
    latents, log_det = flow(x)
    torch.testing.assert_close(flow.inverse(latents), x, rtol=0, atol=1e-8)

    def flat(pixels: torch.Tensor) -> torch.Tensor:
        return torch.cat([z.flatten() for z in flow(pixels.view(1, *x.shape[1:]))[0]])

    for sample, expected in zip(x, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(flat, sample.flatten())
        assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(expected.item(), abs=1e-4)


def test_blocks_describe_the_latents() -> None:
    flow = ImageFlow(1, 28, 28, steps=1, hidden=8)
    latents, _ = flow(flow.prepare(torch.zeros(2, 1, 28, 28)))
    assert [(z.shape[1], z.shape[2]) for z in latents] == [(b.vectors, b.dim) for b in flow.blocks]
    assert flow.dim == 32 * 32
    assert flow.padding == (2, 2, 2, 2)


def test_sub_vectors_are_neighbouring_pixels() -> None:
    """A change in one corner of the image affects only a few of the fine scale's sub-vectors."""
    torch.manual_seed(0)
    flow = ImageFlow(1, 16, 16, scales=2, steps=1, hidden=8)
    raw = torch.full((1, 1, 16, 16), 100.0)
    moved = raw.clone()
    moved[..., :2, :2] = 130.0
    noise = torch.rand(1, 1, 16, 16)
    fine, other = flow(raw + noise)[0][0], flow(moved + noise)[0][0]
    touched = ((fine - other).abs().amax(2) > 1e-6).sum()
    assert 1 <= touched <= 4


def test_initialise_standardises_every_step() -> None:
    torch.manual_seed(0)
    flow = ImageFlow(1, 8, 8, scales=2, steps=2, hidden=8)
    x = flow.prepare(torch.randint(0, 256, (256, 1, 8, 8)).float())
    flow.initialise(x)
    latents, _ = flow(x)
    last = latents[-1].reshape(-1, latents[-1].shape[2])
    assert last.mean().item() == pytest.approx(0.0, abs=0.05)
    assert last.std().item() == pytest.approx(1.0, abs=0.1)


def test_squeeze_round_trip() -> None:
    x = torch.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    assert torch.equal(unsqueeze(squeeze(x)), x)


def test_uniform_noise_has_zero_bits_under_a_matched_density() -> None:
    """Uniform pixels have a log-density of -log 256 each; an untrained, uninitialised flow cannot beat that entropy."""
    torch.manual_seed(0)
    flow = ImageFlow(1, 8, 8, scales=1, steps=1, hidden=8)
    x = flow.prepare(torch.randint(0, 256, (4_000, 1, 8, 8)).float())
    with torch.no_grad():
        assert flow.bits_per_dim(x).mean().item() > math.log2(256) - 0.01


def test_content_noise_makes_preparation_reproducible() -> None:
    flow = ImageFlow(1, 6, 6, scales=1, steps=1, hidden=4)
    raw = torch.randint(0, 256, (5, 1, 6, 6)).float()
    together = flow.prepare(raw, noise="content")
    alone = torch.cat([flow.prepare(sample[None], noise="content") for sample in raw])
    assert torch.equal(together, alone)
    assert (together - torch.nn.functional.pad(raw, flow.padding)).min() >= 0


def test_real_valued_images_are_dequantized_within_their_range() -> None:
    flow = ImageFlow(1, 8, 8, low=0.0, high=1.0, integer=False, scales=1, steps=1, hidden=4)
    x = flow.prepare(torch.ones(3, 1, 8, 8))
    assert 1.0 <= x.min() <= x.max() <= 1.0 + 1 / 256


def test_too_many_scales_are_refused_with_the_remedy() -> None:
    for side, most in ((1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4)):
        with pytest.raises(TrainingError, match=f"use at most {most} scales"):
            ImageFlow(1, side, 9, scales=most + 1, steps=1, hidden=4)
        ImageFlow(1, side, 9, scales=most, steps=1, hidden=4)


@pytest.mark.parametrize("shape", SHAPES)
def test_boxes_contain_the_pixels_that_affect_a_latent(shape: dict[str, int]) -> None:
    """Couplings at the identity have no receptive field: a pixel affects only latents whose box it is in."""
    torch.manual_seed(0)
    flow = ImageFlow(**shape, steps=1, hidden=4).double()
    raw = torch.full((1, *flow.image_shape), 100.0).double()
    moved = raw.clone()
    row, column = shape["height"] - 1, 1
    moved[..., row, column] += 30.0
    noise = torch.full((1, shape["channels"], *flow.padded), 0.5).double()
    padded = [torch.nn.functional.pad(each, flow.padding) + noise for each in (raw, moved)]
    one, other = (torch.cat([z.flatten() for z in flow(x)[0]]) for x in padded)
    touched = (one - other).abs() > 1e-9
    top, bottom, left, right = flow.boxes().T
    assert touched.any()
    assert not (touched & ~((top <= row) & (row < bottom) & (left <= column) & (column < right))).any()
