"""Small flows with perturbed weights, so that their couplings do something, as in a trained flow."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch

from driftwatch.flows.features import FeatureTransform
from driftwatch.flows.folding import fold
from driftwatch.flows.image import ImageFlow
from driftwatch.flows.vector import VectorFlow

F = TypeVar("F", bound=torch.nn.Module)


def shaken(channels: int, height: int, width: int, *, steps: int = 2, **others: Any) -> ImageFlow:
    """A folded image flow, its weights perturbed."""
    torch.manual_seed(0)
    folded = fold(_perturbed(ImageFlow(channels, height, width, steps=steps, **others), 0.05))
    assert isinstance(folded, ImageFlow)
    return folded


def vector_flow(dim: int, *, hidden: int = 64, bins: int = 8, layers: int = 3) -> VectorFlow:
    """A folded vector flow, its weights perturbed."""
    torch.manual_seed(0)
    raw = np.random.default_rng(0).standard_normal((200, dim))
    features = FeatureTransform.fit(raw, ["numeric"] * dim, missing=False)
    folded = fold(_perturbed(VectorFlow(features, hidden=hidden, bins=bins, layers=layers), 0.1))
    assert isinstance(folded, VectorFlow)
    return folded


def _perturbed(flow: F, scale: float) -> F:
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
    return flow
