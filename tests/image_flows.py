"""Small image flows whose couplings do something, as trained ones do."""

from __future__ import annotations

import torch

from driftwatch.flows.folding import fold
from driftwatch.flows.image import ImageFlow


def shaken(channels: int, height: int, width: int, *, hidden: int = 64) -> ImageFlow:
    """A folded flow with other weights than it begins with."""
    torch.manual_seed(0)
    flow = ImageFlow(channels, height, width, steps=2, hidden=hidden)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    folded = fold(flow)
    assert isinstance(folded, ImageFlow)
    return folded
