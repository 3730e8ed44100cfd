"""The flow for images: multi-scale, with actnorm, invertible 1x1 convolutions and affine couplings.

References:
    Kingma and Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions" (arXiv 1807.03039).
    Dinh et al., "Density estimation using Real NVP" (arXiv 1605.08803): squeeze, split and couplings.

Inside the flow, images are channels-last, ``(N, H, W, C)``: a 1x1 convolution is then a matrix product, and the
couplings' convolutions run in the layout that suits CPUs and tensor cores best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from driftwatch.errors import TrainingError
from driftwatch.flows.base import BlockSpec, Flow, Noise, content_noise
from driftwatch.flows.mix import InvertibleMix

NOISE_LEVELS = 256
"""Real-valued images get noise of 1/256 of their range, as if they were stored in 8 bits."""

MAX_LOG_SCALE = 2.0
MAX_SUB_VECTOR = 16
Scale = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""One scale of a flow. It maps images ``(N, 2H, 2W, C / 4)`` and log-determinants ``(N,)`` to the latent that leaves at
this scale, ``(N, H, W, C / 2)`` or already cut into sub-vectors ``(N, P, l)``, the rest that goes on to the next scale,
``(N, H, W, C / 2)``, and log-determinants. At the last scale, everything leaves."""

SCALE_NAMES = ("fine texture", "medium shape", "coarse shape", "layout", "gross layout")


class ImageFlow(Flow):
    """A multi-scale Glow-like flow over images of any size.

    Images whose sides are not multiples of ``2 ** scales`` are padded with `low` (see `padding`).

    Args:
        channels: of the images.
        height: of the images, in pixels.
        width: of the images, in pixels.
        low: least pixel value.
        high: greatest pixel value.
        integer: whether pixel values are integers, dequantized by noise of width one.
        scales: how often the image is halved; each scale contributes one block of the latent.
        steps: flow steps per scale.
        hidden: channels of the couplings' hidden layers.

    Raises:
        TrainingError: the images are too small for so many scales.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        low: float = 0.0,
        high: float = 255.0,
        integer: bool = True,
        scales: int = 3,
        steps: int = 6,
        hidden: int = 64,
    ) -> None:
        super().__init__()
        if min(height, width) < 2 ** (scales - 1) + 1 and scales > 1:
            raise TrainingError(
                f"images of {height}x{width} pixels cannot be halved {scales} times",
                where="flow.scales",
                remedy=f"use at most {max(1, (min(height, width) - 1).bit_length())} scales",
            )
        self.image_shape = (channels, height, width)
        self.low, self.high, self.integer = low, high, integer
        self.scales, self.steps, self.hidden = scales, steps, hidden
        self.compute_dtype: torch.dtype | None = None
        self.kernels: Mapping[int, Scale] = {}
        self.takes_pixels = False  # whether the first kernel takes raw pixels instead of values centred on zero
        self.content_noise: Callable[[Tensor], Tensor] = content_noise
        multiple = 2**scales
        self.padded = (-(-height // multiple) * multiple, -(-width // multiple) * multiple)
        self.noise_width = 1.0 if integer else (high - low) / NOISE_LEVELS

        stages, splits, blocks = [], [], []
        c, (h, w) = channels, self.padded
        for scale in range(scales):
            c, h, w = c * 4, h // 2, w // 2
            stages.append(nn.ModuleList(FlowStep(c, hidden) for _ in range(steps)))
            name = f"{SCALE_NAMES[min(scale, len(SCALE_NAMES) - 1)]} (scale {scale + 1})"
            leaving = c
            if scale < scales - 1:
                leaving = c // 2
                splits.append(Conditioner(c - leaving, leaving * 2, hidden))
            blocks.append((name, h, w, leaving))
            c -= leaving if scale < scales - 1 else 0
        self.stages = nn.ModuleList(stages)
        self.splits = nn.ModuleList(splits)
        self._grids = tuple((h, w, c, _patch(h, w, c)) for _, h, w, c in blocks)
        self.blocks = tuple(
            BlockSpec(name, (h // p) * (w // p), c * p * p)
            for (name, *_), (h, w, c, p) in zip(blocks, self._grids, strict=True)
        )

    @property
    def patches(self) -> tuple[int, ...]:
        """The side of the patch that one sub-vector covers, for each block."""
        return tuple(patch for *_, patch in self._grids)

    @property
    def padding(self) -> tuple[int, int, int, int]:
        """Pixels added on the left, right, top and bottom."""
        _, height, width = self.image_shape
        dh, dw = self.padded[0] - height, self.padded[1] - width
        return dw // 2, dw - dw // 2, dh // 2, dh - dh // 2

    def architecture(self) -> dict[str, Any]:
        channels, height, width = self.image_shape
        return {
            "kind": "image",
            "channels": channels,
            "height": height,
            "width": width,
            "low": self.low,
            "high": self.high,
            "integer": self.integer,
            "scales": self.scales,
            "steps": self.steps,
            "hidden": self.hidden,
        }

    def prepare(self, raw: Tensor, *, generator: torch.Generator | None = None, noise: Noise = "random") -> Tensor:
        """Pad raw images ``(N, C, H, W)`` and add dequantization noise; see `Flow.prepare`."""
        x = F.pad(raw, self.padding, value=self.low)
        if noise == "content":
            u = self.content_noise(x.flatten(1)).view_as(x)
        else:
            u = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return x + u * self.noise_width

    def forward(self, x: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Map prepared images ``(N, C, H', W')`` to latents; see `Flow.forward`."""
        span = self.high - self.low + self.noise_width
        h = (x - self.low if self.low else x).permute(0, 2, 3, 1)
        if not self.takes_pixels:
            h = h / span - 0.5
        log_det = h.new_full((h.shape[0],), -self.dim * math.log(span))
        latents = []
        for scale in range(self.scales):
            pass_through = self.kernels.get(scale) or partial(self.by_layers, scale)
            leaving, h, log_det = pass_through(h, log_det)
            latents.append(leaving)
        cut = (z if z.ndim == 3 else _cut(z, patch) for z, patch in zip(latents, self.patches, strict=True))
        return tuple(cut), log_det

    def by_layers(self, scale: int, x: Tensor, log_det: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute one `Scale` layer by layer."""
        h = squeeze(x)
        for step in steps_of_stage(self.stages[scale]):
            h, step_log_det = step(h, self.compute_dtype)
            log_det = log_det + step_log_det
        if scale == self.scales - 1:
            return h, h[..., :0], log_det
        leaving, h = h.chunk(2, dim=3)
        shift, log_scale = self.splits[scale](h, self.compute_dtype)
        return (leaving + shift) * log_scale.exp(), h, log_det + log_scale.flatten(1).sum(1)

    def inverse(self, latents: tuple[Tensor, ...]) -> Tensor:
        """Map latents to prepared images ``(N, C, H', W')``."""
        leaving = [_uncut(z, *grid) for z, grid in zip(latents, self._grids, strict=True)]
        h = leaving[-1]
        for scale in reversed(range(self.scales)):
            if scale < self.scales - 1:
                shift, log_scale = self.splits[scale](h, self.compute_dtype)
                h = torch.cat([leaving[scale] * (-log_scale).exp() - shift, h], dim=3)
            for step in reversed(steps_of_stage(self.stages[scale])):
                h = step.inverse(h, self.compute_dtype)
            h = unsqueeze(h)
        span = self.high - self.low + self.noise_width
        return (h.permute(0, 3, 1, 2) + 0.5) * span + self.low

    def boxes(self) -> Tensor:
        """The pixels that each dimension of the latent covers.

        Returns:
            First and last row, first and last column, ``(d, 4)``; the last ones are exclusive. Boxes in the padding lie
            outside the image.
        """
        left, _, top, _ = self.padding
        boxes = []
        for height, width, channels, patch in self._grids:
            rows = torch.arange(height).view(1, height, 1, 1).expand(1, height, width, channels)
            columns = torch.arange(width).view(1, 1, width, 1).expand(1, height, width, channels)
            down, across = self.padded[0] // height, self.padded[1] // width
            first = _cut(rows, patch).flatten() * down - top
            leftmost = _cut(columns, patch).flatten() * across - left
            boxes.append(torch.stack([first, first + down, leftmost, leftmost + across], dim=1))
        return torch.cat(boxes)

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Set every actnorm so that its output has mean 0 and variance 1 on `x` (prepared images)."""
        span = self.high - self.low + self.noise_width
        h = ((x - self.low) / span - 0.5).permute(0, 2, 3, 1)
        for scale, steps in enumerate(self.stages):
            h = squeeze(h)
            for step in steps_of_stage(steps):
                step.initialise(h)
                h, _ = step(h, self.compute_dtype)
            if scale < self.scales - 1:
                h = h.chunk(2, dim=3)[1]


class FlowStep(nn.Module):
    """Actnorm, invertible 1x1 convolution and affine coupling on ``(N, H, W, C)``."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.mix = InvertibleMix(channels)
        self.kept = channels // 2
        self.conditioner = Conditioner(self.kept, (channels - self.kept) * 2, hidden)

    def forward(self, x: Tensor, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        x, log_det = self.mix(x)
        kept, moved = torch.split(x, [self.kept, x.shape[3] - self.kept], dim=3)
        shift, log_scale = self.conditioner(kept, dtype)
        moved = (moved + shift) * log_scale.exp()
        return torch.cat([kept, moved], dim=3), log_det + log_scale.flatten(1).sum(1)

    def inverse(self, y: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        kept, moved = torch.split(y, [self.kept, y.shape[3] - self.kept], dim=3)
        shift, log_scale = self.conditioner(kept, dtype)
        return self.mix.inverse(torch.cat([kept, moved * (-log_scale).exp() - shift], dim=3))

    def initialise(self, x: Tensor) -> None:
        self.mix.initialise(x)


class Conditioner(nn.Module):
    """The small convolutional network that computes a coupling's shift and bounded log-scale."""

    def __init__(self, channels: int, out_channels: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, hidden, 3, padding=1)
        self.middle = nn.Conv2d(hidden, hidden, 1)
        self.last = nn.Conv2d(hidden, out_channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Map ``(N, H, W, C)`` to a shift and a log-scale, both ``(N, H, W, out_channels / 2)``."""
        out = x.permute(0, 3, 1, 2).to(dtype or x.dtype, memory_format=torch.channels_last)
        for layer in (self.first, self.middle, self.last):
            if layer is not self.first:
                out = F.relu(out)
            out = F.conv2d(out, layer.weight.to(out.dtype), _as(layer.bias, out.dtype), padding=layer.padding)
        shift, raw = out.permute(0, 2, 3, 1).to(x.dtype).chunk(2, dim=3)
        return shift, MAX_LOG_SCALE * torch.tanh(raw / MAX_LOG_SCALE)


def steps_of_stage(stage: nn.Module) -> list[FlowStep]:
    """The steps of one of a flow's `stages`."""
    return [step for step in stage.children() if isinstance(step, FlowStep)]


def squeeze(x: Tensor) -> Tensor:
    """Trade space for channels: ``(N, H, W, C)`` to ``(N, H/2, W/2, 4C)``."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, c * 4)


def unsqueeze(x: Tensor) -> Tensor:
    """The inverse of `squeeze`."""
    n, h, w, c = x.shape
    return x.reshape(n, h, w, c // 4, 2, 2).permute(0, 1, 4, 2, 5, 3).reshape(n, h * 2, w * 2, c // 4)


def _as(bias: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if bias is None else bias.to(dtype)


def _patch(height: int, width: int, channels: int) -> int:
    """The side of the patch that a sub-vector covers: two pixels if that stays small enough, else one."""
    even = height % 2 == 0 and width % 2 == 0 and height * width > 4
    return 2 if even and channels * 4 <= MAX_SUB_VECTOR else 1


def _cut(z: Tensor, patch: int) -> Tensor:
    """Cut ``(N, H, W, C)`` into sub-vectors ``(N, P, l)`` of one patch each."""
    n, h, w, c = z.shape
    z = z.reshape(n, h // patch, patch, w // patch, patch, c).permute(0, 1, 3, 2, 4, 5)
    return z.reshape(n, (h // patch) * (w // patch), patch * patch * c)


def _uncut(z: Tensor, height: int, width: int, channels: int, patch: int) -> Tensor:
    """The inverse of `_cut`."""
    z = z.reshape(z.shape[0], height // patch, width // patch, patch, patch, channels)
    return z.permute(0, 1, 3, 2, 4, 5).reshape(z.shape[0], height, width, channels)
