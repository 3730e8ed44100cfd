"""The optimiser takes the steps of PyTorch's, without what that imports."""

from __future__ import annotations

import subprocess
import sys

import torch

from driftwatch.reference.adam import BETAS, Adam


def test_it_takes_the_steps_of_pytorch() -> None:
    generator = torch.Generator().manual_seed(0)
    ours = [torch.randn(shape, generator=generator, requires_grad=True) for shape in ((3, 4), (5,), ())]
    theirs = [parameter.detach().clone().requires_grad_() for parameter in ours]
    adam, peer = Adam(ours), torch.optim.Adam(theirs, betas=BETAS)
    for step in range(30):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = other.grad = torch.randn(one.shape, generator=generator) * 10.0 ** (step % 3)
        ours[2].grad = theirs[2].grad = None
        rate = peer.param_groups[0]["lr"] = 1e-2 / (1 + step)
        adam.step(rate)
        peer.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_training_needs_no_compiler() -> None:
    """It takes 1.5 seconds to import, of each ``train`` and ``demo``."""
    program = """
import sys, torch
from driftwatch.reference.adam import Adam
x = torch.zeros(3, requires_grad=True)
x.grad = torch.ones(3)
Adam([x]).step(0.1)
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
