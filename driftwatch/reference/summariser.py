"""The computation of summaries from raw samples, on the device of the flow."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from driftwatch.flows.base import Flow
from driftwatch.reference.description import Description
from driftwatch.reference.latents import flow_latents
from driftwatch.stats.moments import Moments
from driftwatch.stats.summary import Array, Layout, summarise_each

T = TypeVar("T")


@dataclass(frozen=True)
class Summariser:
    """Summarizes batches ``(B, *sample_shape)`` as ``(B, V)``: tensors on the flow's GPU, or NumPy arrays on a CPU.

    Args:
        flow: folded, on its device.
        moments: of its latents, on the same device.
        description: on the same device.
        layout: of the summaries.
    """

    flow: Flow
    moments: Moments
    description: Description
    layout: Layout

    @torch.inference_mode()
    def __call__(self, raw: Tensor, count: int | None = None) -> Array:
        """The summary of each raw sample; of padded batches, only the first `count` samples matter."""
        latents = flow_latents(self.flow, raw, count)
        whitened = self.moments.whiten(latents.blocks, latents.nll)
        return summarise_each(whitened, self.layout, self.description.describe(self.flow, latents, whitened))


def as_tensors(value: T, device: torch.device) -> T:
    """Convert all arrays in a frozen dataclass or tuple to tensors on a device.

    >>> as_tensors((np.zeros(2), "name"), torch.device("cpu"))
    (tensor([0., 0.], dtype=torch.float64), 'name')
    """
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value).to(device)  # type: ignore[return-value]
    if isinstance(value, tuple):
        return tuple(as_tensors(each, device) for each in value)  # type: ignore[return-value]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: as_tensors(getattr(value, each.name), device) for each in fields(value)})
    return value
